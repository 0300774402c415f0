/** The state of the conversation in words. Pure. */

/** @typedef {{muted: boolean, pushToTalk: boolean, down: boolean}} MicrophoneSwitches */

/**
 * @param {import("./session.js").Phase} phase
 * @param {Pick<import("./types.js").FloorEvent, "user" | "agent">} floor
 * @param {MicrophoneSwitches} switches
 * @param {boolean} typingOnly
 * @returns {{name: string, words: string}} A name for the style sheet and words for people.
 */
export function describe(phase, floor, switches, typingOnly) {
  if (phase === "connecting") return { name: "idle", words: "Connecting…" };
  if (phase === "reconnecting") return { name: "idle", words: "Reconnecting…" };
  if (phase !== "live") return { name: "idle", words: "Not connected" };
  if (floor.agent === "paused") return { name: "paused", words: "Paused, listening to you" };
  if (floor.user === "speaking" && floor.agent === "speaking") {
    return { name: "both", words: "Both speaking" };
  }
  if (floor.user === "speaking") return { name: "user", words: "You are speaking" };
  if (floor.agent === "thinking") return { name: "thinking", words: "Agent is thinking" };
  if (floor.agent === "speaking") return { name: "agent", words: "Agent is speaking" };
  if (typingOnly) return { name: "listening", words: "Type a message" };
  if (switches.muted) return { name: "muted", words: "Microphone muted" };
  if (switches.pushToTalk && !switches.down) return { name: "listening", words: "Hold to talk" };
  return { name: "listening", words: "Listening" };
}
