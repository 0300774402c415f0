/** The WebSocket link: PCM16 both ways through two worklets. The fallback where WebRTC fails. */

import { oneTimeToken } from "./access.js";

/** Microphone audio waiting in the socket, in seconds; beyond it new packets are dropped. */
const MAX_BACKLOG_S = 1;
const OPEN_TIMEOUT_MS = 8000;

/** @implements {Link} @typedef {import("./types.js").Link} Link */
export class SocketLink {
  /**
   * @param {AudioContext} context Its rate is the rate of both directions.
   * @param {MediaStream} stream
   * @param {import("./types.js").LinkHandlers} handlers
   */
  constructor(context, stream, handlers) {
    /** @type {"websocket"} */
    this.kind = "websocket";
    /** @type {GainNode} */
    this.output = new GainNode(context);
    this._context = context;
    this._stream = stream;
    this._handlers = handlers;
    /** @type {WebSocket | null} */
    this._socket = null;
    this._onReady = () => {};
    /** @type {import("./types.js").Resume | null} */
    this.resume = null;
    /** @type {MediaStreamAudioSourceNode | null} */
    this._source = null;
    /** @type {AudioWorkletNode | null} */
    this._capture = null;
    /** @type {AudioWorkletNode | null} */
    this._playback = null;
  }

  /** @param {import("./types.js").Resume | null} resume */
  async open(resume) {
    const module = (/** @type {string} */ name) => new URL(name, import.meta.url).href;
    await this._context.audioWorklet.addModule(module("capture-worklet.js"));
    await this._context.audioWorklet.addModule(module("playback-worklet.js"));
    this._play();
    await this._connect(resume);
    this._record();
  }

  /**
   * @param {import("./types.js").Resume | null} resume
   * @returns {Promise<void>}
   */
  async _connect(resume) {
    const token = await oneTimeToken();
    const url = new URL("v1/stream", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = `?sample_rate=${this._context.sampleRate}&events=all`;
    const key = resume?.kind === this.kind ? resume.key : resume?.overSocket;
    if (key) url.searchParams.set("resume", key);
    if (token) url.searchParams.set("token", token);
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    return new Promise((resolve, reject) => {
      let opened = false;
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
      // A socket that opens may still be refused: the agent's first word is "ready".
      this._onReady = () => {
        opened = true;
        clearTimeout(timer);
        resolve();
      };
      socket.onmessage = ({ data }) => this._receive(data);
      socket.onclose = ({ reason }) => {
        clearTimeout(timer);
        if (!opened) reject(new Error(reason || "The server did not accept the connection."));
        else if (this._socket === socket) this._handlers.onLost(reason || "The connection closed.");
      };
    });
  }

  /** @param {ArrayBuffer | string} data */
  _receive(data) {
    if (typeof data !== "string") {
      this._playback?.port.postMessage(data, [data]);
      return;
    }
    /** @type {import("./types.js").ServerEvent} */
    const event = JSON.parse(data);
    if (event.type === "ready") {
      if (event.resume) this.resume = { kind: this.kind, key: event.resume };
      this._onReady();
    }
    if (event.type === "clear") this._playback?.port.postMessage("clear");
    this._handlers.onEvent(event);
  }

  _play() {
    const playback = new AudioWorkletNode(this._context, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    playback.connect(this.output).connect(this._context.destination);
    playback.port.onmessage = ({ data: { played, cleared } }) => {
      this.send({ type: "played", samples: played, cleared });
    };
    this._playback = playback;
  }

  _record() {
    const capture = new AudioWorkletNode(this._context, "capture", {
      channelCount: 1,
      channelCountMode: "explicit",
    });
    // A worklet runs only while it leads somewhere; its output is silence.
    capture.connect(this._context.destination);
    capture.port.onmessage = ({ data }) => this._sendAudio(data);
    this._capture = capture;
    this.setStream(this._stream);
  }

  /** @param {ArrayBuffer} packet */
  _sendAudio(packet) {
    const socket = this._socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MAX_BACKLOG_S * this._context.sampleRate * 2) return;
    socket.send(packet);
  }

  /** @param {import("./types.js").ClientEvent} event */
  send(event) {
    if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify(event));
  }

  /** @param {MediaStream} stream */
  setStream(stream) {
    this._source?.disconnect();
    this._source = this._context.createMediaStreamSource(stream);
    if (this._capture) this._source.connect(this._capture);
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    const context = /** @type {{setSinkId?: (id: string) => Promise<void>}} */ (
      /** @type {unknown} */ (this._context)
    );
    await context.setSinkId?.(deviceId);
  }

  /** @param {number} volume */
  setVolume(volume) {
    this.output.gain.value = volume;
  }

  close() {
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    for (const node of [this._source, this._capture, this._playback]) node?.disconnect();
  }
}
