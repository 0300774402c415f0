/**
 * What to say when something is in the way, and the buttons that lead out of it. Pure.
 *
 * @typedef {import("./notice.js").Message} Message
 */

import { WORDS } from "./microphone.js";
import { TROUBLES } from "./session.js";

/**
 * @param {import("./microphone.js").MicrophoneState} state
 * @param {() => void} retry
 * @param {(() => void) | null} typeInstead Null where a conversation is open already.
 * @returns {Message}
 */
export function microphoneTrouble(state, retry, typeInstead) {
  const actions = [{ label: "Try again", run: retry }];
  if (typeInstead) actions.push({ label: "Type instead", run: typeInstead });
  return { kind: "problem", ...WORDS[state], actions };
}

/**
 * @param {import("./session.js").Trouble} trouble
 * @param {string} reason
 * @param {() => void} retry
 * @returns {Message}
 */
export function sessionTrouble(trouble, reason, retry) {
  const { title, remedy } = TROUBLES[trouble];
  const actions = [{ label: "Try again", run: retry }];
  return { kind: "problem", title, text: `${reason} ${remedy}`, actions };
}

/**
 * @param {{reason: string, attempt: number, retryAt: number}} session
 * @param {number} now Page time, in milliseconds, as `retryAt`.
 * @param {() => void} retryNow
 * @param {() => void} stop
 * @returns {Message}
 */
export function reconnecting({ reason, attempt, retryAt }, now, retryNow, stop) {
  const left_s = Math.max(0, Math.ceil((retryAt - now) / 1000));
  const when = left_s ? `Trying again in ${left_s} s` : "Trying again now";
  return {
    kind: "waiting",
    title: "Connection lost. Your conversation is kept.",
    text: `${reason} ${when} (attempt ${attempt}).`,
    actions: [
      { label: "Try now", run: retryNow },
      { label: "End", run: stop },
    ],
  };
}
