/**
 * One conversation with the server: check, connect, fall back, reconnect, end.
 *
 * Fires "phase" when `phase` changes and "event" (CustomEvent) for every event of the server.
 *
 * @typedef {import("./types.js").Link} Link
 * @typedef {import("./types.js").ServerEvent} ServerEvent
 * @typedef {import("./types.js").ServerStatus} ServerStatus
 * @typedef {"idle" | "connecting" | "live" | "reconnecting" | "ended" | "failed"} Phase
 */

import { withKey } from "./access.js";
import { SocketLink } from "./socket.js";
import { WebRtcLink } from "./webrtc.js";

/** Kokoro's own rate; the browser resamples the microphone to it and the loudspeaker from it. */
const SAMPLE_RATE = 24000;
const STATUS_TIMEOUT_MS = 4000;
/** Posteriors come five times a second; so long without any is a dead connection. */
const SILENCE_MS = 5000;
/** Waits before each attempt to reconnect; after the last one the person decides. */
const BACKOFF_S = [0.5, 1, 2, 4, 8, 15, 15, 15];

/** @typedef {keyof typeof TROUBLES} Trouble */

/** Why there is no conversation, and what helps. */
export const TROUBLES = {
  down: {
    title: "The agent is not running.",
    remedy: "Start it with “duplex serve”, then try again.",
  },
  key: {
    title: "This agent wants a key.",
    remedy: "Open its address with #key= and the key behind it.",
  },
  full: { title: "The agent is busy.", remedy: "Try again when somebody has finished." },
  refused: { title: "The conversation could not begin.", remedy: "" },
};

export class SessionError extends Error {
  /** @param {Trouble} trouble @param {string} message */
  constructor(trouble, message) {
    super(message);
    this.trouble = trouble;
  }
}

/**
 * @returns {Promise<ServerStatus>}
 * @throws {SessionError} When the server cannot take a conversation now.
 */
export async function fetchStatus() {
  let response;
  try {
    const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    const url = new URL("api/status", document.baseURI);
    response = await fetch(url, { cache: "no-store", headers: withKey(), signal });
  } catch {
    throw new SessionError("down", "The agent's server does not answer.");
  }
  if (response.status === 401) throw new SessionError("key", "No key, or one that does not fit.");
  if (response.status === 503) throw new SessionError("full", "Every place is taken.");
  if (!response.ok) throw new SessionError("down", `The server answered ${response.status}.`);
  return response.json();
}

/** @param {ServerStatus} status */
function refuseWhenFull(status) {
  const { active, limit } = status.sessions ?? { active: 0, limit: Infinity };
  if (active >= limit) throw new SessionError("full", `All ${limit} places are taken.`);
}

export class Session extends EventTarget {
  constructor() {
    super();
    /** @type {Phase} */
    this.phase = "idle";
    /** @type {Link | null} */
    this.link = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** Counts conversations: turn numbers start again with each. */
    this.epoch = 0;
    /** Counts links; what an older one still says is dropped. */
    this._links = 0;
    /** @type {import("./types.js").Resume | null} What a lost conversation is found by. */
    this._resume = null;
    /** Why the phase is "reconnecting" or "failed", and what comes next. */
    this.reason = "";
    this.attempt = 0;
    this.retryAt = 0;
    /** @type {Trouble} */
    this.trouble = "refused";
    /** @type {MediaStream | null} */
    this._stream = null;
    /** Raised by every start and stop; work begun under an older number is dropped. */
    this._generation = 0;
    /** @type {(() => void) | null} */
    this._wake = null;
    /** When the last event came, in page time; null before the first posterior. */
    this._heardAt = /** @type {number | null} */ (null);
    this._watchdog = 0;
    /** WebRTC failed once in this conversation: do not wait for it again. */
    this._socketOnly = false;
  }

  /** @returns {boolean} Whether there is a conversation, or one is being sought. */
  get isOpen() {
    return ["connecting", "live", "reconnecting"].includes(this.phase);
  }

  /**
   * @param {MediaStream | null} stream Null to type and listen without a microphone.
   * @returns {Promise<void>}
   */
  async start(stream) {
    const generation = ++this._generation;
    this._socketOnly = false;
    this._resume = null;
    this._setPhase("connecting");
    try {
      this._prepareAudio(stream);
      await this._connect(generation);
    } catch (error) {
      if (generation !== this._generation) return;
      this._fail(error);
    }
  }

  stop() {
    if (this.phase === "idle" || this.phase === "ended") return;
    this._generation++;
    this._wake?.();
    this.send({ type: "end" });
    this._release();
    this._setPhase("ended");
  }

  /** Cut a wait between two attempts short. */
  retryNow() {
    this._wake?.();
  }

  /** @param {import("./types.js").ClientEvent} event */
  send(event) {
    this.link?.send(event);
  }

  /** @param {MediaStream} stream */
  setStream(stream) {
    this._stream = stream;
    this.link?.setStream(stream);
  }

  /** @param {MediaStream | null} stream */
  _prepareAudio(stream) {
    this.context ??= openContext(stream);
    // Without a microphone the link carries silence: the server's clock counts samples.
    this._stream = stream ?? new MediaStreamAudioDestinationNode(this.context).stream;
    this.context.resume();
  }

  /** @param {number} generation */
  async _connect(generation) {
    const status = await fetchStatus();
    // Who comes back holds a place already.
    if (!this._resume) refuseWhenFull(status);
    const link = await this._openLink(status, generation);
    if (generation !== this._generation) {
      link.close();
      return;
    }
    this.link = link;
    this.attempt = 0;
    this._watch(generation);
    this._setPhase("live");
  }

  /**
   * @param {ServerStatus} status
   * @param {number} generation
   * @returns {Promise<Link>}
   */
  async _openLink(status, generation) {
    const wanted = new URLSearchParams(location.search).get("transport");
    const possible = status.webrtc && "RTCPeerConnection" in window && !this._socketOnly;
    if (wanted === "webrtc" || (possible && wanted !== "ws")) {
      try {
        return await this._openOne(WebRtcLink, generation);
      } catch (error) {
        if (wanted === "webrtc") throw error;
        this._socketOnly = true;
      }
    }
    return this._openOne(SocketLink, generation);
  }

  /**
   * @param {typeof WebRtcLink | typeof SocketLink} Kind
   * @param {number} generation
   */
  async _openOne(Kind, generation) {
    const number = ++this._links;
    const context = /** @type {AudioContext} */ (this.context);
    const link = new Kind(context, /** @type {MediaStream} */ (this._stream), {
      onEvent: (event) => {
        if (generation !== this._generation || number !== this._links) return;
        if (event.type === "ready" && !event.resumed) this.epoch++;
        if (event.type === "posterior" || this._heardAt) this._heardAt = performance.now();
        this.dispatchEvent(new CustomEvent("event", { detail: event }));
      },
      onLost: (reason) => {
        if (generation === this._generation) this._reconnect(generation, reason);
      },
    });
    await link.open(this._resume);
    this._resume = link.resume;
    return link;
  }

  /** Neither TCP nor ICE tells soon that the other machine is gone: count on its events.
   * @param {number} generation */
  _watch(generation) {
    this._heardAt = null;
    clearInterval(this._watchdog);
    this._watchdog = window.setInterval(() => {
      if (this._heardAt === null || performance.now() - this._heardAt < SILENCE_MS) return;
      this._reconnect(generation, "The server is silent.");
    }, 1000);
  }

  /** @param {number} generation @param {string} reason */
  async _reconnect(generation, reason) {
    clearInterval(this._watchdog);
    this._resume = this.link?.resume ?? this._resume;
    this.link?.close();
    this.link = null;
    this.reason = reason;
    for (const [index, wait_s] of BACKOFF_S.entries()) {
      this.attempt = index + 1;
      this.retryAt = performance.now() + wait_s * 1000;
      this._setPhase("reconnecting");
      await this._sleep(wait_s);
      if (generation !== this._generation) return;
      try {
        await this._connect(generation);
        return;
      } catch (error) {
        if (generation !== this._generation) return;
        this.reason = error instanceof Error ? error.message : String(error);
      }
    }
    this._fail(new SessionError("down", this.reason));
  }

  /** @param {number} wait_s @returns {Promise<void>} */
  _sleep(wait_s) {
    return new Promise((resolve) => {
      this._wake = () => resolve();
      setTimeout(resolve, wait_s * 1000);
    });
  }

  /** @param {unknown} error */
  _fail(error) {
    this.trouble = error instanceof SessionError ? error.trouble : "refused";
    this.reason = error instanceof Error ? error.message : String(error);
    this._release();
    this._setPhase("failed");
  }

  _release() {
    clearInterval(this._watchdog);
    this.link?.close();
    this.link = null;
    this.context?.close();
    this.context = null;
  }

  /** @param {Phase} phase */
  _setPhase(phase) {
    this.phase = phase;
    this.dispatchEvent(new Event("phase"));
  }
}

/**
 * A context that accepts this microphone: Firefox connects a stream only to a context of the
 * stream's own rate, and then that rate goes over the wire.
 *
 * @param {MediaStream | null} stream
 * @returns {AudioContext}
 */
function openContext(stream) {
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
  if (!stream) return context;
  try {
    context.createMediaStreamSource(stream).disconnect();
    return context;
  } catch {
    context.close();
    return new AudioContext({ latencyHint: "interactive" });
  }
}
