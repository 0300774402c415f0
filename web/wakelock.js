/** Keeps the screen on during a conversation: a phone that sleeps hangs up. */
export class WakeLock {
  constructor() {
    this._wanted = false;
    /** @type {WakeLockSentinel | null} */
    this._lock = null;
    // The browser drops the lock of a hidden page and does not give it back by itself.
    document.addEventListener("visibilitychange", () => this._request());
  }

  hold() {
    this._wanted = true;
    this._request();
  }

  release() {
    this._wanted = false;
    this._lock?.release();
    this._lock = null;
  }

  async _request() {
    if (!this._wanted || document.visibilityState !== "visible") return;
    try {
      this._lock = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      // Battery saving refuses it: the conversation goes on all the same.
    }
  }
}
