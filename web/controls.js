/**
 * Mute, push to talk, interrupt, and the keys for them.
 *
 * Silence is made here, by disabling the track: a muted microphone sends nothing but silence,
 * whatever the server does with the message about it.
 */

import { byId } from "./dom.js";

const SHORTCUTS_KEY = "duplex.shortcuts";

/** Elements that need their keys for themselves. */
const TYPING = "input:not([type=checkbox], [type=range]), textarea, select";
const PRESSABLE = "button, a, summary, input, select, textarea";

export class Controls {
  /**
   * @param {object} actions
   * @param {(event: import("./types.js").ClientEvent) => void} actions.send
   * @param {() => boolean} actions.isLive
   * @param {() => void} actions.onChange
   */
  constructor({ send, isLive, onChange }) {
    this._send = send;
    this._isLive = isLive;
    this._onChange = onChange;
    this.muted = false;
    this.pushToTalk = false;
    this.down = false;
    /** @type {MediaStream | null} */
    this._stream = null;
    this._hold = byId("hold-button");
    this._bindButtons();
    this._bindHold();
    this._bindKeys();
  }

  /** @returns {boolean} Whether the person can be heard at this moment. */
  get open() {
    return !this.muted && (!this.pushToTalk || this.down);
  }

  /** @param {MediaStream | null} stream */
  setStream(stream) {
    this._stream = stream;
    this._apply();
  }

  /** Tell a new connection how the page stands. */
  announce() {
    if (this.muted) this._send({ type: "mute", muted: true });
    if (this.pushToTalk) this._send({ type: "push_to_talk", down: this.down });
  }

  toggleMute() {
    this.muted = !this.muted;
    this._send({ type: "mute", muted: this.muted });
    this._apply();
  }

  togglePushToTalk() {
    this.pushToTalk = !this.pushToTalk;
    this.down = false;
    // Leaving the mode is announced as a press that never ends: the microphone is open again.
    this._send({ type: "push_to_talk", down: !this.pushToTalk });
    this._apply();
    if (this.pushToTalk) this._hold.focus();
  }

  /** @param {boolean} down */
  press(down) {
    if (!this.pushToTalk || this.down === down) return;
    this.down = down;
    this._apply();
    this._send({ type: "push_to_talk", down });
  }

  interrupt() {
    if (this._isLive()) this._send({ type: "interrupt" });
  }

  _apply() {
    for (const track of this._stream?.getAudioTracks() ?? []) track.enabled = this.open;
    byId("mute-button").setAttribute("aria-pressed", String(this.muted));
    byId("ptt-button").setAttribute("aria-pressed", String(this.pushToTalk));
    this._hold.hidden = !this.pushToTalk;
    this._hold.dataset.down = String(this.down);
    byId("hold-label").textContent = this.down ? "Listening: let go when done" : "Hold to talk";
    this._onChange();
  }

  _bindButtons() {
    byId("mute-button").addEventListener("click", () => this.toggleMute());
    byId("ptt-button").addEventListener("click", () => this.togglePushToTalk());
    byId("interrupt-button").addEventListener("click", () => this.interrupt());
  }

  _bindHold() {
    this._hold.addEventListener("pointerdown", (event) => {
      this._hold.setPointerCapture(event.pointerId);
      this.press(true);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      this._hold.addEventListener(end, () => this.press(false));
    }
    this._hold.addEventListener("contextmenu", (event) => event.preventDefault());
    // A key held while the window goes away never comes up.
    window.addEventListener("blur", () => this.press(false));
  }

  _bindKeys() {
    const box = /** @type {HTMLInputElement} */ (byId("shortcuts"));
    box.checked = localStorage.getItem(SHORTCUTS_KEY) !== "off";
    box.addEventListener("change", () => {
      localStorage.setItem(SHORTCUTS_KEY, box.checked ? "on" : "off");
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this._isLive()) return;
      if (document.querySelector("dialog[open]")) return;
      this._keyDown(event, box.checked);
    });
    document.addEventListener("keyup", (event) => {
      if (event.code === "Space" || event.code === "Enter") this.press(false);
    });
  }

  /** @param {KeyboardEvent} event @param {boolean} shortcuts */
  _keyDown(event, shortcuts) {
    const target = /** @type {HTMLElement} */ (event.target);
    const onHold = target === this._hold;
    if (this.pushToTalk && onHold && (event.code === "Space" || event.code === "Enter")) {
      event.preventDefault();
      this.press(true);
      return;
    }
    if (!shortcuts) return;
    if (event.key === "Escape") {
      this.interrupt();
    } else if (event.key.toLowerCase() === "m" && !event.repeat && !target.closest(TYPING)) {
      this.toggleMute();
    } else if (event.code === "Space" && this.pushToTalk && !target.closest(PRESSABLE)) {
      event.preventDefault();
      this.press(true);
    }
  }
}
