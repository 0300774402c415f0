/**
 * Packets to loudspeaker. In: ArrayBuffers of PCM16 mono at the context's rate, or "clear".
 * Out: `{played, cleared}`: samples of the agent's voice given to the loudspeaker since the
 * start, and whether the rest has just been dropped.
 *
 * The queue has no bound of its own: the server paces what it sends, 0.2 s ahead at most.
 */

/** Held back before the first sample, so that a late packet does not tear a word. */
const PREBUFFER_S = 0.04;
/** A clear fades out instead of chopping, which would click. */
const FADE_S = 0.02;
const REPORT_S = 0.1;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Int16Array[]} */
    this._queue = [];
    this._offset = 0;
    this._queued = 0;
    this._waited = 0;
    this._playing = false;
    /** Samples left of a running fade; -1 where none runs. */
    this._fade = -1;
    this._played = 0;
    this._reported = 0;
    this.port.onmessage = ({ data }) => (data === "clear" ? this._clear() : this._push(data));
  }

  /** @param {ArrayBuffer} buffer */
  _push(buffer) {
    // Half a sample at the end is a peer's mistake; the typed array would throw on it.
    const samples = new Int16Array(buffer, 0, buffer.byteLength >> 1);
    if (!samples.length) return;
    if (this._fade >= 0) this._end(true);
    this._queue.push(samples);
    this._queued += samples.length;
  }

  _clear() {
    if (this._playing) this._fade = Math.round(FADE_S * sampleRate);
    else this._end(true);
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const output = outputs[0][0];
    if (!this._playing && this._queued) {
      this._waited += output.length;
      const enough = PREBUFFER_S * sampleRate;
      // A clip shorter than the prebuffer is played as well, once nothing more has come for as long.
      this._playing = this._queued >= enough || this._waited >= enough;
    }
    if (this._playing) this._render(output);
    return true;
  }

  /** @param {Float32Array} output */
  _render(output) {
    const fade = Math.round(FADE_S * sampleRate);
    for (let i = 0; i < output.length; i++) {
      if (!this._queued || this._fade === 0) {
        this._end(this._fade >= 0);
        return;
      }
      const gain = this._fade > 0 ? this._fade-- / fade : 1;
      output[i] = (this._next() / 32768) * gain;
    }
    if (this._played - this._reported >= REPORT_S * sampleRate) this._report(false);
  }

  /** @returns {number} */
  _next() {
    const head = this._queue[0];
    const sample = head[this._offset++];
    if (this._offset === head.length) {
      this._queue.shift();
      this._offset = 0;
    }
    this._queued--;
    this._played++;
    return sample;
  }

  /** Nothing is left, or what is left may not be heard.
   * @param {boolean} cleared */
  _end(cleared) {
    this._queue = [];
    this._offset = 0;
    this._queued = 0;
    this._waited = 0;
    this._playing = false;
    this._fade = -1;
    this._report(cleared);
  }

  /** @param {boolean} cleared */
  _report(cleared) {
    this._reported = this._played;
    this.port.postMessage({ played: this._played, cleared });
  }
}

registerProcessor("playback", Playback);
