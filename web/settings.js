/** The settings dialog: devices, microphone test, volume, and what the server runs. */

import { CAN_CHOOSE_SPEAKER, listDevices, rememberSpeaker } from "./devices.js";
import { byId } from "./dom.js";
import { Meter } from "./meter.js";
import { MicrophoneError, WORDS } from "./microphone.js";

const VOLUME_KEY = "duplex.volume";

export class Settings {
  /**
   * @param {import("./microphone.js").Microphone} microphone
   * @param {object} actions
   * @param {(stream: MediaStream) => void} actions.onStream A new microphone is in use.
   * @param {(deviceId: string) => void} actions.onSpeaker
   * @param {(volume: number) => void} actions.onVolume
   * @param {() => boolean} actions.isBusy Whether a conversation uses the microphone.
   */
  constructor(microphone, { onStream, onSpeaker, onVolume, isBusy }) {
    this._microphone = microphone;
    this._onStream = onStream;
    this._isBusy = isBusy;
    this._dialog = /** @type {HTMLDialogElement} */ (byId("settings"));
    this._microphones = /** @type {HTMLSelectElement} */ (byId("microphone-select"));
    this._speakers = /** @type {HTMLSelectElement} */ (byId("speaker-select"));
    this._volume = /** @type {HTMLInputElement} */ (byId("volume"));
    this._meter = new Meter(byId("meter-test"));
    /** @type {AudioContext | null} */
    this._context = null;
    this._bind(onSpeaker, onVolume);
  }

  /** @returns {number} The agent's volume, from 0 to 1. */
  get volume() {
    return Number(this._volume.value) / 100;
  }

  /** @param {import("./types.js").ServerStatus} status */
  showFacts(status) {
    const facts = { Server: `${status.name} ${status.version}`, ...status.models };
    const names = /** @type {Record<string, string>} */ ({
      asr: "Recognition",
      llm: "Language model",
      tts: "Voice",
    });
    const parts = Object.entries(facts).flatMap(([key, value]) => {
      const term = document.createElement("dt");
      term.textContent = names[key] ?? key;
      const detail = document.createElement("dd");
      detail.textContent = String(value);
      return [term, detail];
    });
    byId("facts").replaceChildren(...parts);
  }

  refresh() {
    listDevices(this._microphones, this._speakers, this._microphone.deviceId);
    const { title, text } = WORDS[this._microphone.state];
    byId("settings-permission").textContent = `${title} ${text}`;
  }

  /** @param {(id: string) => void} onSpeaker @param {(volume: number) => void} onVolume */
  _bind(onSpeaker, onVolume) {
    byId("settings-button").addEventListener("click", () => {
      this.refresh();
      this._dialog.showModal();
    });
    this._dialog.addEventListener("close", () => this._endTest());
    this._microphones.addEventListener("change", () => this._chooseMicrophone());
    this._speakers.addEventListener("change", () => {
      rememberSpeaker(this._speakers.value);
      onSpeaker(this._speakers.value);
    });
    this._speakers.disabled = !CAN_CHOOSE_SPEAKER;
    byId("speaker-hint").hidden = CAN_CHOOSE_SPEAKER;
    this._volume.value = localStorage.getItem(VOLUME_KEY) ?? "100";
    this._volume.addEventListener("input", () => {
      localStorage.setItem(VOLUME_KEY, this._volume.value);
      onVolume(this.volume);
    });
    byId("test-button").addEventListener("click", () => {
      if (this._context) this._endTest();
      else this._beginTest();
    });
  }

  async _chooseMicrophone() {
    try {
      const stream = await this._microphone.choose(this._microphones.value);
      if (!stream) return;
      this._onStream(stream);
      if (this._context) this._meter.attach(this._context.createMediaStreamSource(stream));
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.refresh();
    }
  }

  async _beginTest() {
    try {
      const stream = await this._microphone.open();
      this._context = new AudioContext();
      this._meter.attach(this._context.createMediaStreamSource(stream));
      byId("test-button").setAttribute("aria-pressed", "true");
      byId("test-button").textContent = "Stop the test";
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.refresh();
    }
  }

  _endTest() {
    if (!this._context) return;
    this._meter.detach();
    this._context.close();
    this._context = null;
    byId("test-button").setAttribute("aria-pressed", "false");
    byId("test-button").textContent = "Test microphone";
    if (!this._isBusy()) this._microphone.close();
  }
}
