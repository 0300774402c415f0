/**
 * Who holds the floor, drawn over the last seconds: a lane per side, the probability of speech
 * above the user's, in silences the probability that the turn has ended (dotted) against the height
 * at which it is answered, and the decisions as ticks. The state in words is the canvas' label.
 *
 * @typedef {import("./types.js").FloorEvent} FloorEvent
 * @typedef {import("./types.js").PosteriorEvent} PosteriorEvent
 * @typedef {import("./types.js").DecisionEvent} DecisionEvent
 * @typedef {import("./types.js").EvidenceEvent} EvidenceEvent
 * @typedef {{from_s: number, state: string}} Span  Until the next span begins.
 */

const WINDOW_S = 12;
/** Kept a little beyond the window, so that a span entering it from the left has its beginning. */
const KEEP_S = 40;
const LABEL_PX = 46;
const USER_TOP = 18;
const CURVE_PX = 36;
const BAND_PX = 14;
const AGENT_TOP = USER_TOP + CURVE_PX + BAND_PX + 22;
/** Share of the clocks' difference that each event corrects; about ten events a second come. */
const FORGET = 0.05;
/** Decision labels keep this distance; where they cannot, the older one yields. */
const LABEL_GAP_PX = 6;

const LABELS = /** @type {Record<string, string>} */ ({
  SPECULATE: "speculate",
  COMMIT: "commit",
  RESUME: "resume",
  HOLD: "hold",
  BARGE_IN: "barge-in",
  BACKCHANNEL: "backchannel",
  DUCK: "duck",
  PAUSE: "pause",
  REPEAT: "repeat",
});

export class Lanes {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this._canvas = canvas;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this._calm = matchMedia("(prefers-reduced-motion: reduce)");
    this._running = false;
    this._drawnAt = 0;
    /** @type {{user: Span[], agent: Span[]}} */
    this._spans = { user: [], agent: [] };
    /** @type {{at_s: number, p: number}[]} */
    this._posterior = [];
    /** @type {{at_s: number, kind: string}[]} */
    this._decisions = [];
    /** @type {{at_s: number, ended: number, commit: number}[]} */
    this._evidence = [];
    /** Server's clock minus this page's, in seconds. */
    this._offset_s = -Infinity;
    new ResizeObserver(() => this.draw()).observe(canvas);
    const redraw = () => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  /** A new connection has a new clock. */
  reset() {
    this._spans = { user: [], agent: [] };
    this._posterior = [];
    this._decisions = [];
    this._evidence = [];
    this._offset_s = -Infinity;
  }

  /** @param {FloorEvent} event */
  floor(event) {
    this._sync(event.at_s);
    pushSpan(this._spans.user, event.at_s, event.user);
    pushSpan(this._spans.agent, event.at_s, event.agent);
    this._canvas.setAttribute("aria-label", `You: ${event.user}. Agent: ${event.agent}.`);
  }

  /** @param {PosteriorEvent} event */
  posterior(event) {
    const first_s = event.at_s - (event.p.length - 1) * event.hop_s;
    event.p.forEach((p, index) => {
      this._posterior.push({ at_s: first_s + index * event.hop_s, p });
    });
    this._sync(event.at_s);
    const oldest = event.at_s - KEEP_S;
    while (this._posterior[0]?.at_s < oldest) this._posterior.shift();
  }

  /** @param {EvidenceEvent} event */
  evidence(event) {
    this._sync(event.at_s);
    const ended = probability(event.log_odds);
    this._evidence.push({ at_s: event.at_s, ended, commit: probability(event.commit_at) });
    while (this._evidence[0].at_s < event.at_s - KEEP_S) this._evidence.shift();
  }

  /** @param {DecisionEvent} event */
  decision(event) {
    this._sync(event.at_s);
    this._decisions.push({ at_s: event.at_s, kind: event.kind });
    while (this._decisions[0].at_s < event.at_s - KEEP_S) this._decisions.shift();
  }

  run() {
    if (this._running) return;
    this._running = true;
    const step = (/** @type {number} */ now) => {
      if (!this._running) return;
      // Where motion is unwelcome the picture steps once a second instead of gliding.
      if (now - this._drawnAt >= (this._calm.matches ? 1000 : 33)) {
        this._drawnAt = now;
        this.draw();
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  stop() {
    this._running = false;
    this.draw();
  }

  /** @param {number} at_s */
  _sync(at_s) {
    const offset_s = at_s - performance.now() / 1000;
    // The event with the least delay tells best; but the server's clock counts samples and falls
    // behind where some are lost, so the best must be forgotten again.
    if (offset_s > this._offset_s) this._offset_s = offset_s;
    else this._offset_s += FORGET * (offset_s - this._offset_s);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this._canvas;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    if (this._canvas.width !== Math.round(width * scale)) {
      this._canvas.width = Math.round(width * scale);
      this._canvas.height = Math.round(height * scale);
    }
    const c = this._context;
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    const style = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    c.font = `500 11px ${getComputedStyle(document.body).fontFamily}`;
    const known = Number.isFinite(this._offset_s);
    const end_s = known ? performance.now() / 1000 + this._offset_s : 0;
    const x = (/** @type {number} */ at_s) =>
      LABEL_PX + (1 - (end_s - at_s) / WINDOW_S) * (width - LABEL_PX);
    this._drawFrame(width, height, colour);
    if (!known) return;
    c.save();
    c.beginPath();
    c.rect(LABEL_PX, 0, width - LABEL_PX, height);
    c.clip();
    this._drawPosterior(x, colour);
    this._drawEvidence(x, colour);
    const userBand = USER_TOP + CURVE_PX + 4;
    this._drawSpans(this._spans.user, userBand, end_s, x, colour("user"));
    this._drawSpans(this._spans.agent, AGENT_TOP, end_s, x, colour("agent"));
    this._drawDecisions(x, height, colour);
    c.restore();
  }

  /** @param {number} width @param {number} height @param {(name: string) => string} colour */
  _drawFrame(width, height, colour) {
    const c = this._context;
    c.fillStyle = colour("quiet");
    c.textBaseline = "middle";
    c.fillText("You", 0, USER_TOP + CURVE_PX + 4 + BAND_PX / 2);
    c.fillText("Agent", 0, AGENT_TOP + BAND_PX / 2);
    c.strokeStyle = colour("line");
    c.lineWidth = 1;
    for (let ago_s = 0; ago_s <= WINDOW_S; ago_s += 3) {
      const x = Math.round(width - (ago_s / WINDOW_S) * (width - LABEL_PX)) - 0.5;
      c.beginPath();
      c.moveTo(x, USER_TOP);
      c.lineTo(x, height - 16);
      c.stroke();
      const label = ago_s ? `-${ago_s} s` : "now";
      c.textAlign = ago_s ? "center" : "right";
      if (ago_s < WINDOW_S) c.fillText(label, x, height - 6);
    }
    c.textAlign = "left";
  }

  /** @param {(at_s: number) => number} x @param {(name: string) => string} colour */
  _drawPosterior(x, colour) {
    if (this._posterior.length < 2) return;
    const c = this._context;
    const base = USER_TOP + CURVE_PX;
    c.beginPath();
    for (const { at_s, p } of this._posterior) c.lineTo(x(at_s), base - p * (CURVE_PX - 3));
    c.strokeStyle = colour("user");
    c.lineWidth = 1.5;
    c.lineJoin = "round";
    c.stroke();
    c.lineTo(x(this._posterior[this._posterior.length - 1].at_s), base);
    c.lineTo(x(this._posterior[0].at_s), base);
    c.closePath();
    c.globalAlpha = 0.14;
    c.fillStyle = colour("user");
    c.fill();
    c.globalAlpha = 1;
  }

  /** @param {(at_s: number) => number} x @param {(name: string) => string} colour */
  _drawEvidence(x, colour) {
    const c = this._context;
    const base = USER_TOP + CURVE_PX;
    for (const { at_s, ended, commit } of this._evidence) {
      c.fillStyle = colour("quiet");
      c.fillRect(x(at_s) - 5, base - commit * (CURVE_PX - 3), 10, 1);
      c.fillStyle = colour("ink");
      c.beginPath();
      c.arc(x(at_s), base - ended * (CURVE_PX - 3), 2, 0, 2 * Math.PI);
      c.fill();
    }
  }

  /**
   * @param {Span[]} spans @param {number} top @param {number} end_s
   * @param {(at_s: number) => number} x @param {string} colour
   */
  _drawSpans(spans, top, end_s, x, colour) {
    const c = this._context;
    spans.forEach((span, index) => {
      if (span.state === "silent") return;
      const left = x(span.from_s);
      const right = x(spans[index + 1]?.from_s ?? end_s);
      c.beginPath();
      c.roundRect(left + 0.75, top + 0.75, Math.max(1.5, right - left - 1.5), BAND_PX - 1.5, 4);
      c.strokeStyle = colour;
      c.fillStyle = colour;
      c.lineWidth = 1.5;
      c.setLineDash(span.state === "thinking" ? [3, 3] : []);
      if (span.state === "speaking") c.fill();
      c.stroke();
      c.setLineDash([]);
      if (span.state === "paused") hatch(c, left, right, top);
    });
  }

  /**
   * @param {(at_s: number) => number} x @param {number} height
   * @param {(name: string) => string} colour
   */
  _drawDecisions(x, height, colour) {
    const c = this._context;
    let free = Infinity;
    c.textBaseline = "middle";
    for (const { at_s, kind } of [...this._decisions].reverse()) {
      const at = Math.round(x(at_s)) + 0.5;
      c.strokeStyle = colour("edge");
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(at, USER_TOP - 4);
      c.lineTo(at, height - 18);
      c.stroke();
      const label = LABELS[kind] ?? kind.toLowerCase();
      const half = c.measureText(label).width / 2;
      const centre = Math.min(at, this._canvas.clientWidth - half - 1);
      if (centre + half > free) continue;
      c.fillStyle = colour("ink");
      c.textAlign = "center";
      c.fillText(label, centre, 7);
      free = centre - half - LABEL_GAP_PX;
    }
    c.textAlign = "left";
  }
}

/** @param {number} logOdds */
function probability(logOdds) {
  return 1 / (1 + Math.exp(-logOdds));
}

/** @param {Span[]} spans @param {number} from_s @param {string} state */
function pushSpan(spans, from_s, state) {
  if (spans[spans.length - 1]?.state !== state) spans.push({ from_s, state });
  while (spans.length > 1 && spans[1].from_s < from_s - KEEP_S) spans.shift();
}

/**
 * Slanted lines within the path just drawn.
 *
 * @param {CanvasRenderingContext2D} c @param {number} left @param {number} right
 * @param {number} top
 */
function hatch(c, left, right, top) {
  c.save();
  c.clip();
  c.beginPath();
  for (let at = left - BAND_PX; at < right; at += 5) {
    c.moveTo(at, top + BAND_PX);
    c.lineTo(at + BAND_PX, top);
  }
  c.stroke();
  c.restore();
}
