/** The two device pickers: remembered, named once permission allows, refreshed on hot-plug. */

const SPEAKER_KEY = "duplex.speaker";

/** Choosing a loudspeaker needs `setSinkId`, which Safari and Firefox lack in part. */
export const CAN_CHOOSE_SPEAKER = "setSinkId" in HTMLMediaElement.prototype;

/** @returns {string} The remembered loudspeaker; empty for the system's default. */
export function rememberedSpeaker() {
  return localStorage.getItem(SPEAKER_KEY) ?? "";
}

/** @param {string} deviceId */
export function rememberSpeaker(deviceId) {
  localStorage.setItem(SPEAKER_KEY, deviceId);
}

/**
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} devices
 * @param {string} wanted
 * @param {string} noun Used for devices whose names the browser still hides.
 */
function fill(select, devices, wanted, noun) {
  // Chromium lists the default a second time under the id "default".
  const real = devices.filter((device) => device.deviceId && device.deviceId !== "default");
  const options = real.map((device, index) => {
    return new Option(device.label || `${noun} ${index + 1}`, device.deviceId);
  });
  select.replaceChildren(new Option("System default", ""), ...options);
  const present = real.some((device) => device.deviceId === wanted);
  select.value = present ? wanted : "";
}

/**
 * @param {HTMLSelectElement} microphones
 * @param {HTMLSelectElement} speakers
 * @param {string} microphoneId
 */
export async function listDevices(microphones, speakers, microphoneId) {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const inputs = devices.filter((device) => device.kind === "audioinput");
  const outputs = devices.filter((device) => device.kind === "audiooutput");
  fill(microphones, inputs, microphoneId, "Microphone");
  fill(speakers, outputs, rememberedSpeaker(), "Loudspeaker");
}
