// Runs in the page before the page's own scripts. Records the microphone and the agent's voice on
// one clock, through the page's own capture worklet, and can speak into the microphone by script.
(() => {
  const RATE = 24000;
  const tracks = { microphone: [], agent: [] };
  let setUp = null;
  let context = null;

  async function prepare() {
    context = new AudioContext({ sampleRate: RATE });
    await context.audioWorklet.addModule("/web/capture-worklet.js");
    const nodes = {};
    for (const name of Object.keys(tracks)) {
      nodes[name] = new AudioWorkletNode(context, "capture");
      nodes[name].connect(context.destination);
      nodes[name].port.onmessage = ({ data }) => tracks[name].push(new Int16Array(data));
    }
    return nodes;
  }

  async function tap(name, stream) {
    setUp ??= prepare();
    const nodes = await setUp;
    context.createMediaStreamSource(stream).connect(nodes[name]);
  }

  // WebRTC: what the page gives to its audio element.
  const srcObject = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    ...srcObject,
    set(stream) {
      srcObject.set.call(this, stream);
      if (stream) tap("agent", stream);
    },
  });

  // WebSocket: what the page's volume control gives to the loudspeaker.
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode && this instanceof GainNode) {
      const copy = new MediaStreamAudioDestinationNode(this.context, { channelCount: 1 });
      connect.call(this, copy);
      tap("agent", copy.stream);
    }
    return connect.call(this, target, ...rest);
  };

  const devices = navigator.mediaDevices;
  if (!devices) return;
  const getUserMedia = devices.getUserMedia.bind(devices);
  let script = null;
  devices.getUserMedia = async (constraints) => {
    setUp ??= prepare();
    await setUp;
    if (!window.scriptedMicrophone) {
      const stream = await getUserMedia(constraints);
      tap("microphone", stream);
      return stream;
    }
    script = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    tap("microphone", script.stream);
    return script.stream;
  };

  window.recorder = {
    /** Speak PCM16 mono at RATE, given as base64, into the scripted microphone. */
    speak(base64) {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const pcm = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
      const buffer = new AudioBuffer({ length: pcm.length, sampleRate: RATE });
      buffer.copyToChannel(pcm, 0);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(script);
      source.start();
    },
    /** Samples recorded so far. */
    length: (name) => tracks[name].reduce((sum, packet) => sum + packet.length, 0),
    /** Share of the last seconds in which the voice was audible, by packets of 20 ms. */
    voiced(name, seconds) {
      const recent = tracks[name].slice(-seconds * 50);
      const audible = recent.filter((packet) => packet.some((sample) => Math.abs(sample) > 600));
      return audible.length / (seconds * 50);
    },
    /** Everything recorded, PCM16 mono at RATE, as base64. */
    async take(name) {
      const blob = new Blob(tracks[name]);
      const url = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(blob);
      });
      return url.slice(url.indexOf(",") + 1);
    },
  };
})();
