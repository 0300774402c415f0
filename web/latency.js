/**
 * How long each answer took, stage by stage, and the session's median.
 *
 * @typedef {import("./types.js").TurnEvent} TurnEvent
 */

/**
 * Stage, column heading, and what it means; the last is the answer itself. An answer may be
 * prepared before it is decided that you had finished, so the times need not rise.
 */
const STAGES = /** @type {const} */ ([
  ["recognised_s", "Words", "Until your words were final"],
  ["decided_s", "Decision", "Until it was decided that you had finished"],
  ["first_token_s", "Thought", "Until the language model's first word"],
  ["first_clause_s", "Clause", "Until its first clause was complete"],
  ["voice_to_voice_s", "Voice", "Until the agent's first sound"],
]);

/** Older turns leave the table, and stay in the median. */
const MAX_ROWS = 20;

/** @param {number[]} values @returns {number} */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number | null | undefined} seconds */
function format(seconds) {
  return typeof seconds === "number" ? seconds.toFixed(2) : "–";
}

function makeNote() {
  const note = document.createElement("p");
  note.className = "note";
  note.textContent = "Seconds from your last sound until each stage was reached:";
  return note;
}

export class Latency {
  /** @param {HTMLElement} container */
  constructor(container) {
    /** @type {number[]} */
    this._totals = [];
    this._last = document.createElement("b");
    this._summary = document.createElement("span");
    this._body = document.createElement("tbody");
    this._container = container;
    const quiet = document.createElement("p");
    quiet.className = "quiet";
    quiet.textContent = "Measured for every answer, stage by stage.";
    container.replaceChildren(quiet);
  }

  /** @param {TurnEvent} event */
  show(event) {
    const total = event.stages.voice_to_voice_s;
    // The greeting answers nobody, and an answer that was cut before its first sound took no time.
    if (typeof total !== "number") return;
    this._totals.push(total);
    if (!this._body.isConnected)
      this._container.replaceChildren(this._headline(), makeNote(), this._table());
    this._last.textContent = `${format(total)} s`;
    const count = this._totals.length;
    const turns = count === 1 ? "turn" : "turns";
    this._summary.textContent = `median ${format(median(this._totals))} s over ${count} ${turns}`;
    this._body.prepend(this._row(event));
    while (this._body.rows.length > MAX_ROWS) this._body.rows[MAX_ROWS].remove();
  }

  _headline() {
    const line = document.createElement("p");
    line.className = "headline";
    line.append(this._last, this._summary);
    return line;
  }

  _table() {
    const table = document.createElement("table");
    table.className = "turns";
    const caption = table.createCaption();
    caption.className = "visually-hidden";
    caption.textContent = "Time to each stage, newest turn first";
    const head = table.createTHead().insertRow();
    for (const [name, title] of [["Turn", ""], ...STAGES.map(([, n, t]) => [n, t])]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      cell.title = title;
      head.append(cell);
    }
    table.append(this._body);
    const scroll = document.createElement("div");
    scroll.className = "latency-scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Time to answer, by turn");
    scroll.append(table);
    return scroll;
  }

  /** @param {TurnEvent} event */
  _row(event) {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = String(event.turn);
    row.append(name);
    for (const [stage] of STAGES) row.insertCell().textContent = format(event.stages[stage]);
    return row;
  }
}
