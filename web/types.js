/**
 * The words the page and the server exchange, as JSON over the data channel or the WebSocket.
 * Times `*_s` are seconds; `at_s` counts from the start of the session.
 *
 * @typedef {"silent" | "speaking"} UserFloor
 * @typedef {"silent" | "thinking" | "speaking" | "paused"} AgentFloor
 *
 * @typedef {{type: "ready", session: string, resume?: string, resumed?: boolean, transport?: string, models?: Record<string, string>}} ReadyEvent
 * @typedef {{type: "transcript", role: "user" | "assistant", text: string, final: boolean,
 *   turn: number, interrupted?: boolean}} TranscriptEvent
 *   User partials replace each other; the assistant's hold all words heard so far.
 * @typedef {{type: "floor", user: UserFloor, agent: AgentFloor, at_s: number}} FloorEvent
 * @typedef {{type: "posterior", at_s: number, hop_s: number, p: number[]}} PosteriorEvent
 *   Probability of speech, one value per hop; the last hop ends at `at_s`.
 * @typedef {{type: "decision", kind: string, at_s: number, reason: string,
 *   evidence?: Record<string, number | string>}} DecisionEvent
 * @typedef {{type: "evidence", at_s: number, log_odds: number, speculate_at: number,
 *   commit_at: number, terms: Record<string, number>}} EvidenceEvent
 *   What is known, in a silence, of the end of the user's turn: natural log-odds.
 * @typedef {{type: "turn", turn: number, stages: Record<string, number | null>}} TurnEvent
 *   When each stage was reached, in seconds after the user's last sound.
 * @typedef {{type: "clear"}} ClearEvent  Drop agent audio that has not been played.
 * @typedef {{type: "error", message: string, fix?: string}} ErrorEvent
 * @typedef {ReadyEvent | TranscriptEvent | FloorEvent | PosteriorEvent | DecisionEvent | EvidenceEvent
 *   | TurnEvent | ClearEvent | ErrorEvent} ServerEvent
 *
 * @typedef {{type: "text", text: string} | {type: "interrupt"} | {type: "mute", muted: boolean}
 *   | {type: "push_to_talk", down: boolean} | {type: "played", samples: number, cleared: boolean}}
 *   ClientEvent
 *
 * @typedef {object} ServerStatus
 * @property {string} name
 * @property {string} version
 * @property {boolean} webrtc   Whether the server can speak WebRTC.
 * @property {boolean} offline  Whether every model runs on the server's own machine.
 * @property {Record<string, string>} models
 * @property {{active: number, limit: number}} sessions
 *
 * @typedef {object} Link  One connection that carries sound and events both ways.
 * @property {"webrtc" | "websocket"} kind
 * @property {AudioNode | null} output  The agent's voice, for the level meter.
 * @property {(resume: Resume | null) => Promise<void>} open
 * @property {Resume | null} resume  What the conversation is found by, should the link be lost.
 * @property {(event: ClientEvent) => void} send
 * @property {(stream: MediaStream) => void} setStream  Speak with another microphone.
 * @property {(deviceId: string) => Promise<void>} setSpeaker
 * @property {(volume: number) => void} setVolume  From 0 to 1.
 * @property {() => void} close
 *
 * @typedef {object} Resume
 * @property {"webrtc" | "websocket"} kind
 * @property {string} key
 * @property {string} [overSocket]  For a WebSocket, should WebRTC find no path any more.
 *
 * @typedef {object} LinkHandlers
 * @property {(event: ServerEvent) => void} onEvent
 * @property {(reason: string) => void} onLost  The link died after it had been open.
 */

export {};
