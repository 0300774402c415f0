/** Level meters: a bar per voice, from -60 dB (empty) to -6 dB (full). */

const FLOOR_DB = -60;
const CEILING_DB = -6;

/** Ten readings a second: quick enough to follow a syllable, and no drain on a battery. */
const PERIOD_MS = 100;

export class Meter {
  /** @param {HTMLElement} element */
  constructor(element) {
    this._element = element;
    /** @type {AnalyserNode | null} */
    this._analyser = null;
    /** @type {AudioNode | null} */
    this._source = null;
    this._timer = 0;
  }

  /** @param {AudioNode} source */
  attach(source) {
    this.detach();
    this._source = source;
    this._analyser = new AnalyserNode(source.context, { fftSize: 2048 });
    source.connect(this._analyser);
    const samples = new Float32Array(this._analyser.fftSize);
    this._timer = window.setInterval(() => {
      this._analyser?.getFloatTimeDomainData(samples);
      this._show(levelOf(samples));
    }, PERIOD_MS);
  }

  detach() {
    window.clearInterval(this._timer);
    if (this._analyser) this._source?.disconnect(this._analyser);
    this._analyser = null;
    this._source = null;
    this._show(0);
  }

  /** @param {number} level From 0 to 1. */
  _show(level) {
    this._element.style.setProperty("--level", level.toFixed(3));
    this._element.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}

/**
 * @param {Float32Array} samples In [-1, 1].
 * @returns {number} Loudness on the meter's scale, from 0 to 1.
 */
export function levelOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
