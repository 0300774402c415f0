/**
 * The microphone: permission, device, and what to tell the person in each state.
 *
 * @typedef {"unasked" | "asking" | "granted" | "denied" | "missing" | "busy" | "insecure"} MicrophoneState
 */

/** @type {Record<MicrophoneState, {title: string, text: string}>} */
export const WORDS = {
  unasked: {
    title: "Microphone not asked for yet.",
    text: "Your browser will ask once. Sound is sent only while a conversation is open.",
  },
  asking: {
    title: "Waiting for your permission.",
    text: "Your browser is asking, usually near the address bar. Choose Allow.",
  },
  granted: {
    title: "Microphone allowed.",
    text: "Sound is sent only while a conversation is open.",
  },
  denied: {
    title: "The microphone is blocked for this page.",
    text:
      "Open the site settings beside the address, allow the microphone, then try again. " +
      "You can also type and listen.",
  },
  missing: {
    title: "No microphone was found.",
    text: "Plug one in or switch it on; the page notices by itself. You can also type and listen.",
  },
  busy: {
    title: "The microphone is in use.",
    text:
      "Another program holds it. Close that call or recorder, or choose another microphone " +
      "in Settings, then try again.",
  },
  insecure: {
    title: "This address is not secure, so the browser offers no microphone.",
    text:
      "Open the page at http://127.0.0.1 on the machine that runs the agent, or serve it over " +
      "https. You can also type and listen.",
  },
};

/** A stored choice of device; the list of devices changes, the wish stays. */
const STORAGE_KEY = "duplex.microphone";

export class MicrophoneError extends Error {
  /** @param {MicrophoneState} state */
  constructor(state) {
    super(WORDS[state].title);
    this.state = state;
  }
}

/**
 * @param {unknown} error What getUserMedia threw.
 * @returns {MicrophoneState}
 */
export function stateOfError(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  return "busy";
}

/** Fires "state" when the state changes, "devices" when the list may have, "ended" on unplugging. */
export class Microphone extends EventTarget {
  constructor() {
    super();
    /** @type {MicrophoneState} */
    this.state = window.isSecureContext && navigator.mediaDevices ? "unasked" : "insecure";
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {Promise<MediaStream> | null} */
    this._opening = null;
    this.deviceId = localStorage.getItem(STORAGE_KEY) ?? "";
  }

  /** Follow the browser's own record of the permission and the list of devices. */
  async watch() {
    if (this.state === "insecure") return;
    navigator.mediaDevices.addEventListener("devicechange", () => {
      if (this.state === "missing") this._setState("unasked");
      this.dispatchEvent(new Event("devices"));
    });
    try {
      const permission = await navigator.permissions.query(
        /** @type {PermissionDescriptor} */ (/** @type {unknown} */ ({ name: "microphone" })),
      );
      const follow = () => {
        if (permission.state === "denied") this._setState("denied");
        else if (permission.state === "granted") this._setState("granted");
        else if (this.state !== "asking") this._setState("unasked");
      };
      permission.addEventListener("change", follow);
      follow();
    } catch {
      // Older Firefox and Safari know no permission of this name: the first try will tell.
    }
  }

  /**
   * Ask for the microphone; the same stream is kept until `close`.
   *
   * @returns {Promise<MediaStream>}
   * @throws {MicrophoneError} With the state that says why not.
   */
  async open() {
    if (this.stream) return this.stream;
    if (this.state === "insecure") throw new MicrophoneError("insecure");
    // A second press while the browser still asks waits for the same answer.
    this._opening ??= this._open().finally(() => (this._opening = null));
    return this._opening;
  }

  /** @returns {Promise<MediaStream>} */
  async _open() {
    if (this.state !== "granted") this._setState("asking");
    try {
      this.stream = await this._request(this.deviceId);
    } catch (error) {
      const state = stateOfError(error);
      this._setState(state);
      throw new MicrophoneError(state);
    }
    const track = this.stream.getAudioTracks()[0];
    track.addEventListener("ended", () => {
      this.stream = null;
      this.dispatchEvent(new Event("ended"));
    });
    this._setState("granted");
    // Names of devices are hidden until permission is given.
    this.dispatchEvent(new Event("devices"));
    return this.stream;
  }

  /**
   * Remember a device and, where the microphone is open, change over to it.
   *
   * @param {string} deviceId Empty for the system's default.
   * @returns {Promise<MediaStream | null>} The new stream, null where none was open.
   */
  async choose(deviceId) {
    this.deviceId = deviceId;
    localStorage.setItem(STORAGE_KEY, deviceId);
    if (!this.stream) return null;
    this.close();
    return this.open();
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
  }

  /** @param {string} deviceId */
  async _request(deviceId) {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (!deviceId) return navigator.mediaDevices.getUserMedia({ audio });
    try {
      const exact = { ...audio, deviceId: { exact: deviceId } };
      return await navigator.mediaDevices.getUserMedia({ audio: exact });
    } catch (error) {
      // The remembered microphone is at home today: any other is better than none.
      if (stateOfError(error) !== "missing") throw error;
      return navigator.mediaDevices.getUserMedia({ audio });
    }
  }

  /** @param {MicrophoneState} state */
  _setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
