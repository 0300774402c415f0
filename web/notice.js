/** The one place for what went wrong, or what the page is waiting for, with the way out of it. */

/**
 * @typedef {{label: string, run: () => void}} Action
 * @typedef {{kind: "problem" | "waiting", title: string, text: string, actions?: Action[]}} Message
 */

export class Notice {
  /** @param {HTMLElement} element Holds a title, a text and a place for actions. */
  constructor(element) {
    const part = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (element.querySelector(`#notice-${name}`));
    this._element = element;
    this._title = part("title");
    this._text = part("text");
    this._actions = part("actions");
    this._labels = "";
    this._timer = 0;
  }

  /** @param {Message} message @param {number} [forMs] Until something else shows, without it. */
  show({ kind, title, text, actions = [] }, forMs) {
    clearTimeout(this._timer);
    if (forMs) this._timer = window.setTimeout(() => this.hide(), forMs);
    this._element.hidden = false;
    // A countdown is not read out every second.
    this._text.setAttribute("aria-live", kind === "waiting" ? "off" : "assertive");
    this._element.dataset.kind = kind;
    // The same words are not written again: a screen reader would repeat them.
    if (this._title.textContent !== title) this._title.textContent = title;
    if (this._text.textContent !== text) this._text.textContent = text;
    const labels = actions.map(({ label }) => label).join("\n");
    if (labels === this._labels) return;
    this._labels = labels;
    this._actions.replaceChildren(...actions.map(makeButton));
  }

  hide() {
    this._element.hidden = true;
    this._labels = "";
    this._title.textContent = "";
    this._text.textContent = "";
    this._actions.replaceChildren();
  }
}

/** @param {Action} action */
function makeButton({ label, run }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", run);
  return button;
}
