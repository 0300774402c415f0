/** The turn-taking decisions with their reasons, newest first. */

const MAX_SHOWN = 100;

export class Decisions {
  /** @param {HTMLElement} list */
  constructor(list) {
    this._list = list;
  }

  /** @param {import("./types.js").DecisionEvent} event */
  show({ at_s, kind, reason, evidence }) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = `${at_s.toFixed(1)} s`;
    const name = document.createElement("b");
    name.textContent = kind.toLowerCase().replace("_", "-");
    const why = document.createElement("span");
    why.textContent = reason;
    why.title = Object.entries(evidence ?? {})
      .map(([name, figure]) => `${name} ${figure}`)
      .join(", ");
    item.append(time, name, why);
    this._list.prepend(item);
    while (this._list.childElementCount > MAX_SHOWN) this._list.lastElementChild?.remove();
  }
}
