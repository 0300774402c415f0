/**
 * Microphone to packets: 20 ms of PCM16 mono at the context's rate, posted as ArrayBuffers.
 *
 * Without an input it posts silence, because the server's clock counts received samples.
 */
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this._size = Math.round(sampleRate * 0.02);
    this._packet = new Int16Array(this._size);
    this._filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    for (let i = 0; i < 128; i++) {
      const sample = channel ? Math.max(-1, Math.min(1, channel[i])) : 0;
      this._packet[this._filled++] = Math.round(sample * 32767);
      if (this._filled === this._size) this._post();
    }
    return true;
  }

  _post() {
    this.port.postMessage(this._packet.buffer, [this._packet.buffer]);
    this._packet = new Int16Array(this._size);
    this._filled = 0;
  }
}

registerProcessor("capture", Capture);
