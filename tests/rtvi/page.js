// A page with Pipecat's client SDK as its documentation shows it, and a microphone that speaks by
// script. What the client is told is kept for the test.
import { PipecatClient } from "@pipecat-ai/client-js";
import { WavMediaManager, WebSocketTransport } from "@pipecat-ai/websocket-transport";

const RATE = 24000;
const told = [];
const heard = [];
let script = null;

navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({ sampleRate: RATE });
  const output = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  script = { context, output };
  return output.stream;
};

class Ears extends WavMediaManager {
  bufferBotAudio(data, id) {
    heard.push(new Int16Array(data.slice(0)));
    return super.bufferBotAudio(data, id);
  }
}

const keep = (name) => (data) => told.push([name, data ?? null]);

const client = new PipecatClient({
  transport: new WebSocketTransport({ mediaManager: new Ears(480, RATE) }),
  enableMic: true,
  callbacks: {
    onBotReady: keep("ready"),
    onUserTranscript: keep("user"),
    onBotTranscript: keep("bot"),
    onUserStartedSpeaking: keep("user-started"),
    onUserStoppedSpeaking: keep("user-stopped"),
    onBotStartedSpeaking: keep("bot-started"),
    onBotStoppedSpeaking: keep("bot-stopped"),
    onLLMFunctionCallInProgress: keep("call"),
    onLLMFunctionCallStopped: keep("result"),
    onError: keep("error"),
    onMessageError: keep("message-error"),
  },
});

window.rtvi = {
  told,
  connect: () => client.connect({ wsUrl: `ws://${location.host}/v1/rtvi` }),
  disconnect: () => client.disconnect(),
  ask: (kind, data) => client.sendClientRequest(kind, data),
  /** Samples of the agent's audio that have arrived. */
  heardSamples: () => heard.reduce((sum, packet) => sum + packet.length, 0),
  /** Speak PCM16 mono at RATE, given as base64, into the microphone. */
  speak(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const pcm = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
    const buffer = new AudioBuffer({ length: pcm.length, sampleRate: RATE });
    buffer.copyToChannel(pcm, 0);
    const source = new AudioBufferSourceNode(script.context, { buffer });
    source.connect(script.output);
    source.start();
  },
  /** What has been heard of the agent since last asked, as base64 of PCM16. */
  take() {
    const all = heard.splice(0);
    let text = "";
    for (const packet of all) {
      const bytes = new Uint8Array(packet.buffer);
      for (let at = 0; at < bytes.length; at += 4096)
        text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
    return btoa(text);
  },
};
