/**
 * What was said, by both sides, in the order in which it began.
 *
 * The container is a polite log that announces additions. A partial line is marked
 * aria-live="off", so a screen reader does not talk over the conversation; when the line is final
 * a new element takes its place, and that one is announced.
 *
 * @typedef {import("./types.js").TranscriptEvent} TranscriptEvent
 */

/** Within this distance of the end, in CSS pixels, new words keep the end in view. */
const STICKY_PX = 40;

const NAMES = { user: "You", assistant: "Agent" };

export class Transcript {
  /** @param {HTMLElement} container @param {HTMLElement} empty Shown while nothing was said. */
  constructor(container, empty) {
    this._container = container;
    this._empty = empty;
    /** @type {Map<string, HTMLElement>} */
    this._lines = new Map();
    /** @type {HTMLElement | null} A typed line the server has not repeated yet. */
    this._typed = null;
    /** Whoever scrolls back to read is left there; a box that shrinks has not been scrolled. */
    this._atEnd = true;
    let top = 0;
    container.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = container;
      if (scrollHeight - scrollTop - clientHeight < STICKY_PX) this._atEnd = true;
      else if (scrollTop < top) this._atEnd = false;
      top = scrollTop;
    });
    new ResizeObserver(() => this._follow()).observe(container);
  }

  /** @param {TranscriptEvent} event @param {number} epoch The connection it came over. */
  show(event, epoch) {
    const key = `${epoch}.${event.turn}.${event.role}`;
    const old = this._lines.get(key) ?? this._takeTyped(event);
    if (!event.text && event.final) {
      // Withdrawn: the words turned out to be none.
      old?.remove();
      this._lines.delete(key);
      return;
    }
    const line = event.final || !old ? makeLine(event.role, !event.final) : old;
    setWords(line, event.text, Boolean(event.interrupted));
    if (line !== old) this._place(line, old);
    this._lines.set(key, line);
    this._follow();
  }

  /** Show a typed message at once, until the server's own event takes its place.
   * @param {string} text */
  showTyped(text) {
    const line = makeLine("user", false);
    setWords(line, text, false);
    this._place(line, undefined);
    this._typed = line;
    this._atEnd = true;
    this._follow();
  }

  /** @param {string} text A break in the conversation, such as a lost connection. */
  rule(text) {
    this._settle();
    const line = document.createElement("p");
    line.className = "rule";
    line.textContent = text;
    this._place(line, undefined);
    this._follow();
  }

  /** @returns {string} Plain text, one line per utterance. */
  text() {
    const lines = [...this._container.querySelectorAll(".line:not(.partial)")];
    return lines
      .map((line) => {
        const who = line.querySelector(".who")?.textContent;
        const words = line.querySelector(".words > span")?.textContent;
        return `${who}: ${words}${line.querySelector(".cut") ? " [interrupted]" : ""}`;
      })
      .join("\n");
  }

  /** @param {TranscriptEvent} event @returns {HTMLElement | undefined} */
  _takeTyped(event) {
    const typed = this._typed;
    if (!typed || event.role !== "user") return undefined;
    if (typed.querySelector(".words")?.textContent !== event.text) return undefined;
    this._typed = null;
    return typed;
  }

  /** A line left partial by a lost connection keeps its words. */
  _settle() {
    for (const line of this._container.querySelectorAll(".line.partial")) {
      line.classList.remove("partial");
    }
    this._typed = null;
  }

  /** @param {HTMLElement} line @param {HTMLElement | undefined} old */
  _place(line, old) {
    this._empty.hidden = true;
    if (old) old.replaceWith(line);
    else this._container.append(line);
  }

  _follow() {
    if (this._atEnd) this._container.scrollTop = this._container.scrollHeight;
  }
}

/** @param {"user" | "assistant"} role @param {boolean} partial */
function makeLine(role, partial) {
  const line = document.createElement("div");
  line.className = `line ${role}`;
  if (partial) {
    line.classList.add("partial");
    line.setAttribute("aria-live", "off");
  }
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = NAMES[role];
  const words = document.createElement("div");
  words.className = "words";
  words.append(document.createElement("span"));
  line.append(who, words);
  return line;
}

/** @param {HTMLElement} line @param {string} text @param {boolean} interrupted */
function setWords(line, text, interrupted) {
  const words = /** @type {HTMLElement} */ (line.querySelector(".words"));
  /** @type {HTMLElement} */ (words.firstElementChild).textContent = text;
  words.querySelector(".cut")?.remove();
  if (!interrupted) return;
  const cut = document.createElement("span");
  cut.className = "cut";
  cut.textContent = "interrupted";
  words.append(" ", cut);
}
