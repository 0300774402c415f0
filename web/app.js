/** Joins the conversation to the page. */

import { Controls } from "./controls.js";
import { Decisions } from "./decisions.js";
import { rememberedSpeaker } from "./devices.js";
import { byId } from "./dom.js";
import { Lanes } from "./lanes.js";
import { Latency } from "./latency.js";
import { Meter } from "./meter.js";
import { Microphone, MicrophoneError, WORDS } from "./microphone.js";
import { Notice } from "./notice.js";
import { Session, SessionError, fetchStatus } from "./session.js";
import { Settings } from "./settings.js";
import { describe } from "./state.js";
import { Transcript } from "./transcript.js";
import { microphoneTrouble, reconnecting, sessionTrouble } from "./troubles.js";
import { WakeLock } from "./wakelock.js";

/** @typedef {import("./types.js").FloorEvent} FloorEvent */

/** An error of the server stays this long, unless something else needs the place. */
const ERROR_SHOWN_MS = 12000;

class Page {
  constructor() {
    this.microphone = new Microphone();
    this.session = new Session();
    this.notice = new Notice(byId("notice"));
    this.transcript = new Transcript(byId("transcript"), byId("transcript-empty"));
    this.lanes = new Lanes(/** @type {HTMLCanvasElement} */ (byId("lanes")));
    this.decisions = new Decisions(byId("decisions"));
    this.latency = new Latency(byId("latency"));
    this.meters = { user: new Meter(byId("meter-user")), agent: new Meter(byId("meter-agent")) };
    this.wakeLock = new WakeLock();
    /** @type {Pick<FloorEvent, "user" | "agent">} */
    this.floor = { user: "silent", agent: "silent" };
    this.typingOnly = false;
    this.countdown = 0;
    this.controls = new Controls({
      send: (event) => this.session.send(event),
      isLive: () => this.session.phase === "live",
      onChange: () => this.showState(),
    });
    this.settings = new Settings(this.microphone, {
      onStream: (stream) => this.useStream(stream),
      onSpeaker: (id) => this.session.link?.setSpeaker(id),
      onVolume: (volume) => this.session.link?.setVolume(volume),
      isBusy: () => this.session.isOpen,
    });
  }

  async run() {
    this.bind();
    this.showPhase();
    this.showPermission();
    await this.microphone.watch();
    this.showPermission();
    await this.checkServer();
  }

  bind() {
    byId("start-button").addEventListener("click", () => this.start());
    byId("type-instead").addEventListener("click", () => this.startTyping());
    byId("end-button").addEventListener("click", () => this.endOrStart());
    byId("copy-button").addEventListener("click", () => this.copy());
    byId("typed-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.type();
    });
    this.microphone.addEventListener("state", () => this.showPermission());
    this.microphone.addEventListener("devices", () => this.settings.refresh());
    this.microphone.addEventListener("ended", () => this.replaceMicrophone());
    // A page that closes is not waited for.
    addEventListener("pagehide", () => this.session.send({ type: "end" }));
    this.session.addEventListener("phase", () => this.showPhase());
    this.session.addEventListener("event", (event) => {
      this.receive(/** @type {CustomEvent} */ (event).detail);
    });
  }

  /** The server's state is told before anybody presses the button. */
  async checkServer() {
    try {
      const status = await fetchStatus();
      byId("agent-name").textContent = status.name || "Duplex";
      document.title = status.name || "Duplex";
      byId("offline-badge").hidden = !status.offline;
      this.settings.showFacts(status);
      if (this.session.phase === "idle") this.notice.hide();
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      const again = () => this.checkServer();
      this.notice.show(sessionTrouble(error.trouble, error.message, again));
    }
  }

  async start() {
    if (this.session.isOpen) return;
    this.notice.hide();
    this.typingOnly = false;
    try {
      const stream = await this.microphone.open();
      this.controls.setStream(stream);
      await this.session.start(stream);
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.showMicrophoneTrouble(error.state, () => this.start());
    }
  }

  startTyping() {
    this.notice.hide();
    this.typingOnly = true;
    this.controls.setStream(null);
    this.session.start(null);
  }

  endOrStart() {
    if (this.session.isOpen) this.session.stop();
    else if (this.typingOnly) this.startTyping();
    else this.start();
  }

  /** @param {MediaStream} stream */
  useStream(stream) {
    this.controls.setStream(stream);
    this.session.setStream(stream);
    this.attachMeters();
  }

  /** The microphone was unplugged, or its permission withdrawn, in the middle of it all. */
  async replaceMicrophone() {
    if (this.session.phase !== "live") return;
    try {
      this.useStream(await this.microphone.open());
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.showMicrophoneTrouble(error.state, () => this.replaceMicrophone());
    }
  }

  type() {
    const input = /** @type {HTMLInputElement} */ (byId("typed-input"));
    const text = input.value.trim();
    if (!text || this.session.phase !== "live") return;
    this.session.send({ type: "text", text });
    this.transcript.showTyped(text);
    input.value = "";
  }

  async copy() {
    const label = byId("copy-label");
    try {
      await navigator.clipboard.writeText(this.transcript.text());
      label.textContent = "Copied";
    } catch {
      label.textContent = "Not allowed";
    }
    setTimeout(() => (label.textContent = "Copy"), 2000);
  }

  /** @param {import("./types.js").ServerEvent} event */
  receive(event) {
    if (event.type === "transcript") this.transcript.show(event, this.session.epoch);
    else if (event.type === "posterior") this.lanes.posterior(event);
    else if (event.type === "evidence") this.lanes.evidence(event);
    else if (event.type === "turn") this.latency.show(event);
    else if (event.type === "error") this.showError(event);
    else if (event.type === "decision") {
      this.lanes.decision(event);
      this.decisions.show(event);
    } else if (event.type === "floor") {
      this.floor = event;
      this.lanes.floor(event);
      this.showState();
    } else if (event.type === "ready") {
      if (event.resumed) this.transcript.rule("Connected again");
      this.floor = { user: "silent", agent: "silent" };
      this.lanes.reset();
    }
  }

  /** @param {import("./types.js").ErrorEvent} event */
  showError({ message, fix }) {
    const actions = [{ label: "Dismiss", run: () => this.notice.hide() }];
    const words = { title: message, text: fix ?? "", actions };
    this.notice.show({ kind: "problem", ...words }, ERROR_SHOWN_MS);
  }

  showPhase() {
    const { phase, link } = this.session;
    clearInterval(this.countdown);
    document.body.dataset.phase = phase;
    const begun = phase !== "idle" && !(phase === "connecting" && byId("stage").hidden);
    if (begun && !(phase === "failed" && byId("stage").hidden)) this.showStage();
    const start = /** @type {HTMLButtonElement} */ (byId("start-button"));
    start.disabled = phase === "connecting";
    byId("start-label").textContent = phase === "connecting" ? "Connecting…" : "Start talking";
    byId("end-label").textContent = this.session.isOpen ? "End" : "Start again";
    byId("end-icon").setAttribute("href", this.session.isOpen ? "#i-end" : "#i-mic");
    for (const id of ["interrupt-button", "typed-input", "send-button"]) {
      /** @type {HTMLButtonElement | HTMLInputElement} */ (byId(id)).disabled = phase !== "live";
    }
    byId("transport-badge").hidden = !link;
    byId("transport-badge").textContent = link?.kind === "webrtc" ? "WebRTC" : "WebSocket";
    if (phase === "live") this.goLive();
    else this.leaveLive();
    if (phase === "reconnecting") this.countDown();
    if (phase === "failed") {
      const { trouble, reason } = this.session;
      this.notice.show(sessionTrouble(trouble, reason, () => this.endOrStart()));
    }
    this.showState();
  }

  showStage() {
    if (!byId("stage").hidden) return;
    byId("welcome").hidden = true;
    byId("stage").hidden = false;
    byId("conversation").focus({ preventScroll: true });
  }

  goLive() {
    this.notice.hide();
    this.controls.announce();
    this.session.link?.setSpeaker(rememberedSpeaker())?.catch(() => {
      // The remembered loudspeaker is gone: the system's default plays.
    });
    this.session.link?.setVolume(this.settings.volume);
    this.attachMeters();
    this.lanes.run();
    this.wakeLock.hold();
  }

  leaveLive() {
    this.meters.user.detach();
    this.meters.agent.detach();
    this.lanes.stop();
    if (this.session.phase === "ended" || this.session.phase === "failed") {
      this.microphone.close();
      this.wakeLock.release();
    }
    if (this.session.phase === "ended") {
      this.notice.hide();
      this.transcript.rule("Conversation ended");
    }
  }

  attachMeters() {
    const { context, link } = this.session;
    if (!context || !link) return;
    if (link.output) this.meters.agent.attach(link.output);
    const { stream } = this.microphone;
    if (stream && !this.typingOnly) {
      this.meters.user.attach(context.createMediaStreamSource(stream));
    }
  }

  /** Say what is being tried, and when. */
  countDown() {
    const { session, notice } = this;
    if (session.attempt === 1) this.transcript.rule("Connection lost");
    const retryNow = () => session.retryNow();
    const stop = () => session.stop();
    const show = () => notice.show(reconnecting(session, performance.now(), retryNow, stop));
    show();
    this.countdown = window.setInterval(show, 1000);
  }

  showState() {
    const { phase } = this.session;
    const { name, words } = describe(phase, this.floor, this.controls, this.typingOnly);
    byId("state").dataset.state = name;
    byId("state-text").textContent = words;
  }

  showPermission() {
    const { state } = this.microphone;
    byId("permission").dataset.state = state;
    byId("permission-title").textContent = WORDS[state].title;
    byId("permission-text").textContent = WORDS[state].text;
    this.settings.refresh();
  }

  /** @param {import("./microphone.js").MicrophoneState} state @param {() => void} retry */
  showMicrophoneTrouble(state, retry) {
    const typeInstead = this.session.isOpen ? null : () => this.startTyping();
    this.notice.show(microphoneTrouble(state, retry, typeInstead));
  }
}

new Page().run();
