/** The WebRTC link: the browser's own echo canceller, jitter buffer and loss concealment. */

import { withKey } from "./access.js";

/** Addresses of this machine are found within milliseconds, or not at all. */
const GATHER_TIMEOUT_MS = 1000;
const ICE_TIMEOUT_MS = 5000;
const OFFER_TIMEOUT_MS = 15000;
/** The server takes a client as gone that has not pinged for 3 s. */
const PING_MS = 1000;
/** "disconnected" often heals by itself, for instance when a laptop changes networks. */
const DISCONNECTED_GRACE_MS = 2000;

/** @implements {Link} @typedef {import("./types.js").Link} Link */
export class WebRtcLink {
  /**
   * @param {AudioContext} context Measures the agent's level; the voice is played by `audio`.
   * @param {MediaStream} stream
   * @param {import("./types.js").LinkHandlers} handlers
   */
  constructor(context, stream, handlers) {
    /** @type {"webrtc"} */
    this.kind = "webrtc";
    /** @type {GainNode} */
    this.output = new GainNode(context);
    this._context = context;
    this._stream = stream;
    this._handlers = handlers;
    this._audio = new Audio();
    this._audio.autoplay = true;
    // No STUN: the page and its server are on one machine or one network.
    this._pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    this._channel = this._pc.createDataChannel("events", { ordered: true });
    this._pcId = "";
    /** @type {import("./types.js").Resume | null} */
    this.resume = null;
    /** @type {RTCIceCandidate[]} */
    this._candidates = [];
    this._open = false;
    this._ping = 0;
  }

  /** @param {import("./types.js").Resume | null} resume */
  async open(resume) {
    const track = this._stream.getAudioTracks()[0];
    this._pc.addTransceiver(track, { direction: "sendrecv", streams: [this._stream] });
    this._pc.ontrack = ({ track: voice }) => this._play(new MediaStream([voice]));
    this._channel.onmessage = ({ data }) => this._receive(data);
    try {
      const gathering = this._firstCandidate();
      await this._pc.setLocalDescription(await this._pc.createOffer());
      await gathering;
      const opened = this._channelOpened();
      await this._join(resume);
      await opened;
    } catch (error) {
      this.close();
      throw error;
    }
    this._open = true;
    this._watch();
  }

  /**
   * Go on with the conversation that was lost, if it is still there; else begin one.
   *
   * @param {import("./types.js").Resume | null} resume
   */
  async _join(resume) {
    const { sdp, type } = /** @type {RTCSessionDescription} */ (this._pc.localDescription);
    const again = resume?.kind === this.kind ? { pc_id: resume.key, restart_pc: true } : {};
    await this._offer({ sdp, type, ...again });
  }

  /** Offer this side, take the answer, and hand over the candidates found meanwhile. */
  async _negotiate() {
    const { sdp, type } = /** @type {RTCSessionDescription} */ (this._pc.localDescription);
    await this._offer({ sdp, type, pc_id: this._pcId });
  }

  /** @param {object} offer */
  async _offer(offer) {
    const response = await this._request("POST", offer);
    const answer = await response.json();
    this._pcId = answer.pc_id;
    this.resume = { ...this.resume, kind: this.kind, key: answer.pc_id };
    await this._pc.setRemoteDescription(answer);
    this._sendCandidates();
  }

  /**
   * Resolves when this machine has an address to offer. A machine without any network has only
   * the loopback, which WebRTC does not use, and Chromium then waits for a network without a
   * word. Found out before the server is bothered.
   *
   * @returns {Promise<void>}
   */
  _firstCandidate() {
    return new Promise((resolve, reject) => {
      const none = () => reject(new Error("This machine has no network for WebRTC."));
      setTimeout(none, GATHER_TIMEOUT_MS);
      this._pc.onicecandidate = ({ candidate }) => {
        // The server's side speaks UDP only.
        if (candidate?.candidate && candidate.protocol !== "tcp") {
          this._candidates.push(candidate);
          if (this._pcId) this._sendCandidates();
          resolve();
        } else if (!candidate) {
          none();
        }
      };
    });
  }

  /** @returns {Promise<void>} */
  _channelOpened() {
    const opened = new Promise((resolve, reject) => {
      this._channel.onopen = () => resolve(undefined);
      this._pc.onsignalingstatechange = () => {
        if (this._pc.signalingState !== "stable") return;
        const late = () => reject(new Error("No direct path to the server was found."));
        setTimeout(late, ICE_TIMEOUT_MS);
      };
      this._pc.onconnectionstatechange = () => {
        if (this._pc.connectionState === "failed") reject(new Error("The direct path failed."));
      };
    });
    // Where negotiation fails first, nobody awaits this promise any more.
    opened.catch(() => {});
    return opened;
  }

  /** @param {"POST" | "PATCH"} method @param {object} body */
  async _request(method, body) {
    const response = await fetch(new URL("api/offer", document.baseURI), {
      method,
      headers: withKey({ "Content-Type": "application/json" }),
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(OFFER_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`The server refused the call (${response.status}).`);
    return response;
  }

  _sendCandidates() {
    const candidates = this._candidates.splice(0).map((candidate) => ({
      candidate: candidate.candidate,
      sdp_mid: candidate.sdpMid ?? "0",
      sdp_mline_index: candidate.sdpMLineIndex ?? 0,
    }));
    if (!candidates.length) return;
    // A lost candidate is no reason to end a call: others may connect, else the time runs out.
    this._request("PATCH", { pc_id: this._pcId, candidates }).catch(() => {});
  }

  /** Report the loss of an open link, once. */
  _watch() {
    const beat = () => {
      if (this._channel.readyState === "open") this._channel.send(`ping: ${Date.now()}`);
    };
    beat();
    this._ping = window.setInterval(beat, PING_MS);
    let grace = 0;
    this._channel.onclose = () => this._lost("The server closed the call.");
    this._pc.onconnectionstatechange = () => {
      const state = this._pc.connectionState;
      clearTimeout(grace);
      if (state === "failed" || state === "closed") this._lost("The path to the server failed.");
      if (state === "disconnected") {
        grace = window.setTimeout(() => this._lost("The server is silent."), DISCONNECTED_GRACE_MS);
      }
    };
  }

  /** @param {string} reason */
  _lost(reason) {
    if (!this._open) return;
    this.close();
    this._handlers.onLost(reason);
  }

  /** @param {string} data */
  _receive(data) {
    const event = JSON.parse(data);
    if (event.type === "ready" && this.resume) this.resume.overSocket = event.resume;
    if (event.type !== "signalling") this._handlers.onEvent(event);
    else if (event.message?.type === "peerLeft") this._lost("The server ended the call.");
    else if (event.message?.type === "renegotiate") this._renegotiate();
  }

  async _renegotiate() {
    await this._pc.setLocalDescription(await this._pc.createOffer());
    await this._negotiate();
  }

  /** @param {MediaStream} voice */
  _play(voice) {
    // Played by an audio element, because some browsers cancel the echo of nothing else.
    this._audio.srcObject = voice;
    this._audio.play().catch(() => {});
    this._context.createMediaStreamSource(voice).connect(this.output);
  }

  /** @param {import("./types.js").ClientEvent} event */
  send(event) {
    if (this._channel.readyState === "open") this._channel.send(JSON.stringify(event));
  }

  /** @param {MediaStream} stream */
  setStream(stream) {
    this._stream = stream;
    this._pc.getTransceivers()[0].sender.replaceTrack(stream.getAudioTracks()[0]);
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    const audio = /** @type {{setSinkId?: (id: string) => Promise<void>}} */ (
      /** @type {unknown} */ (this._audio)
    );
    await audio.setSinkId?.(deviceId);
  }

  /** @param {number} volume */
  setVolume(volume) {
    this._audio.volume = volume;
  }

  close() {
    this._open = false;
    clearInterval(this._ping);
    this._audio.srcObject = null;
    this._pc.close();
  }
}
