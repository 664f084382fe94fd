// One chart: curves over steps, held-out points with intervals, marks where something began. Drawn by uPlot.
//
// All charts of a board share their cursor and their window of steps: what one sees at a step in one chart shows in all of them.

import uPlot from "../vendor/uPlot.esm.js";
import { h, fill } from "./dom.js";
import { axisText, valueText } from "./chart-text.js";
import { extent, nearest, smooth } from "./smooth.js";
import { chartCsv, chartPicture } from "./chart-export.js";
import { saveAs } from "./download.js";

const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"]; // a seventh curve and those after it are dashed
const HEIGHT = 190;
const NARROWEST = 120; // below that nothing is left beside the axis
let boards = 0;

/** What the charts of a page share: cursor, window of steps, smoothing. */
export class Board {
  constructor() {
    this.key = uPlot.sync(`board-${++boards}`).key;
    this.charts = new Set();
    this.window = null; // [first, last] step, null: all
    this.smoothing = 0;
    this.onStep = () => {};
    this.onWindow = () => {};
  }

  /** Show the steps from `first` to `last` in every chart; null: all. */
  zoom(window) {
    this.window = window && window[1] - window[0] >= 1 ? window : null;
    for (const chart of this.charts) chart.rescale();
    this.onWindow(this.window);
  }

  setSmoothing(weight) {
    this.smoothing = weight;
    for (const chart of this.charts) chart.redata();
  }

  /** Put the shared cursor on a step; null takes it away. */
  point(step) {
    for (const chart of this.charts) chart.point(step);
    this.onStep(step);
  }

  redraw() {
    for (const chart of this.charts) chart.recolor();
  }
}

/** A chart in its frame. `spec` as in figures.js; `tag` goes before the names of files. */
export class Chart {
  constructor(board, spec, tag) {
    Object.assign(this, { board, spec, tag, steps: [], columns: {}, evaluations: [], marks: [], cursorStep: null, log: Boolean(spec.log) });
    this.series = [
      ...spec.lines.map((line, i) => ({ ...line, held: false, color: line.color ?? COLORS[i % COLORS.length], dash: i >= COLORS.length ? [5, 3] : undefined, shown: true })),
      ...(spec.held ?? []).map((line, i) => ({ ...line, held: true, color: line.color ?? COLORS[(i + 1) % COLORS.length], shown: true })),
    ];
    this.legend = h("ul", { class: "legend" });
    this.plot = h("div", {
      class: "plot", tabindex: "0", role: "img", onkeydown: (event) => this.onKey(event),
      onblur: () => board.point(null),
    });
    this.logButton = h("button", { type: "button", "aria-pressed": String(this.log), onclick: () => this.toggleLog() }, "log");
    this.element = h("article", { class: "chart" },
      h("header", {},
        h("h3", {}, spec.title),
        h("div", { class: "chart-tools" }, this.logButton,
          h("button", { type: "button", title: "Download these figures", "aria-label": `${spec.title}: download as CSV`, onclick: () => this.saveCsv() }, "CSV"),
          h("button", { type: "button", title: "Download this picture", "aria-label": `${spec.title}: download as PNG`, onclick: () => this.savePicture() }, "PNG"))),
      spec.tells ? h("p", { class: "tells" }, spec.tells) : null,
      this.legend, this.plot);
    this.logButton.setAttribute("aria-label", `${spec.title}: logarithmic scale`);
    board.charts.add(this);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.plot);
  }

  /** Take in new data; cheap to call with the same. */
  update({ steps, columns, evaluations, marks }) {
    Object.assign(this, { steps, columns, evaluations, marks });
    this.redata();
  }

  redata() {
    const raws = this.lines().map((s) => this.columns[s.key] ?? []);
    const smoothed = raws.map((values) => smooth(values, this.board.smoothing));
    this.data = [this.steps, ...smoothed.flatMap((values, i) => [raws[i], values])];
    if (!this.uplot) this.build();
    else this.uplot.setData(this.data, false);
    this.rescale();
    this.describe();
  }

  lines() {
    return this.series.filter((s) => !s.held);
  }

  build() {
    const width = this.plot.clientWidth;
    if (width < NARROWEST) return; // not laid out yet; the observer calls again
    this.uplot = new uPlot({
      width, height: HEIGHT, legend: { show: false }, padding: [8, 10, 0, 0],
      cursor: {
        sync: { key: this.board.key, setSeries: false, scales: ["x", null] }, drag: { x: true, y: false, setScale: false, dist: 6 },
        points: { show: (u, i) => (i > 0 && i % 2 === 0 ? this.cursorPoint(i) : null) }, y: false, focus: { prox: -1 },
      },
      scales: { x: { time: false, range: () => this.stepRange() }, y: { distr: this.log ? 3 : 1, range: () => this.valueRange() } },
      axes: [
        { ...this.axis(), grid: { show: false }, size: 28, space: 52, incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000, 20000, 50000, 100000],
          values: (u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString("en") : "")) },
        { ...this.axis(), size: 52, space: 34, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : axisText(this.spec.unit, tick, ticks))) },
      ],
      series: [{}, ...this.lines().flatMap((s) => [
        { show: s.shown, stroke: () => this.color(s, 0.26), width: 1, spanGaps: true, points: { show: false } },
        { show: s.shown, stroke: () => this.color(s), width: 1.75, dash: s.dash, spanGaps: true, points: { show: () => this.steps.length < 2, size: 5, fill: () => this.color(s) } },
      ])],
      hooks: {
        draw: [(u) => this.drawMarks(u), (u) => this.drawHeld(u)],
        setCursor: [(u) => this.onCursor(u)],
        setSelect: [(u) => this.onSelect(u)],
      },
    }, this.data, this.plot);
    this.uplot.over.addEventListener("dblclick", () => this.board.zoom(null));
  }

  axis() {
    return {
      stroke: () => css("--ink-3"), font: `11px ${css("--sans")}`, gap: 6,
      grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false },
    };
  }

  color(series, alpha = 1) {
    const color = css(series.color); // of the form #rrggbb, see tokens.css
    return alpha === 1 ? color : color + Math.round(255 * alpha).toString(16).padStart(2, "0");
  }

  /** The dot that goes along a smoothed curve with the cursor. */
  cursorPoint(index) {
    const series = this.lines()[index / 2 - 1];
    return h("div", { style: { width: "7px", height: "7px", "margin-left": "-3.5px", "margin-top": "-3.5px", background: `var(${series.color})` } });
  }

  allSteps() {
    const held = this.evaluations.map((record) => record.step);
    const first = Math.min(this.steps[0] ?? Infinity, ...(this.hasHeld() ? held : []));
    const last = Math.max(this.steps.at(-1) ?? -Infinity, ...(this.hasHeld() ? held : []));
    return Number.isFinite(first) ? [first, Math.max(last, first + 1)] : [0, 1];
  }

  hasHeld() {
    return this.series.some((s) => s.held);
  }

  stepRange() {
    return this.board.window ?? this.allSteps();
  }

  valueRange() {
    const [first, last] = this.stepRange();
    let from = 0, to = this.steps.length - 1;
    while (from < to && this.steps[from] < first) from += 1;
    while (to > from && this.steps[to] > last) to -= 1;
    const lists = this.lines().flatMap((s, i) => (s.shown ? [this.data[1 + 2 * i], this.data[2 + 2 * i]] : []));
    const held = this.series.filter((s) => s.held && s.shown).flatMap((s) => this.evaluations
      .filter((r) => r.step >= first && r.step <= last && typeof r[s.key] === "number").flatMap((r) => [r[s.key], ...(r[`${s.key}_interval`] ?? [])]));
    const both = [...(this.steps.length ? [extent(this.log ? lists.map((l) => l.map((v) => (v > 0 ? v : null))) : lists, from, to)] : []),
      held.length ? [Math.min(...held), Math.max(...held)] : null].filter(Boolean);
    if (!both.length) return this.log ? [0.1, 1] : [0, 1];
    let low = Math.min(...both.map((b) => b[0])), high = Math.max(...both.map((b) => b[1]));
    if (this.log) return [low > 0 ? low / 1.6 : high / 1000, high * 1.6];
    // Equal but for rounding, which smoothing adds: an axis that narrow has no ticks that a number can tell apart.
    if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high))) { const room = Math.abs(low) * 0.1 || 0.5; low -= room; high += room; }
    const room = (high - low) * 0.08;
    const { floor, ceiling } = this.spec;
    low = floor !== undefined && low - room < floor + (high - low) * 0.6 ? Math.min(floor, low) : low - room;
    high = ceiling !== undefined && high > ceiling - (high - low) * 0.35 ? Math.max(ceiling, high) + (ceiling === 1 ? 0.015 : 0) : high + room;
    return [low, high];
  }

  rescale() {
    if (!this.uplot) return;
    const [min, max] = this.stepRange();
    this.uplot.setScale("x", { min, max });
  }

  resize() {
    const width = this.plot.clientWidth;
    if (!this.uplot) { if (this.data) this.redata(); return; }
    if (width >= NARROWEST && Math.abs(this.uplot.width - width) > 1) this.uplot.setSize({ width, height: HEIGHT });
  }

  recolor() {
    this.uplot?.redraw(false, true);
    this.describe();
  }

  drawMarks(u) {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    for (const mark of this.marks) {
      const x = u.valToPos(mark.step, "x", true);
      if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) continue;
      const mine = mark.figures.length === 0 || mark.figures.some((key) => this.series.some((s) => s.key === key));
      ctx.strokeStyle = css(mine ? "--bad" : "--line-strong");
      ctx.lineWidth = (mine ? 1.5 : 1) * ratio;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
      if (mine) {
        ctx.setLineDash([]);
        ctx.fillStyle = css("--bad");
        ctx.beginPath();
        ctx.moveTo(x - 5 * ratio, u.bbox.top);
        ctx.lineTo(x + 5 * ratio, u.bbox.top);
        ctx.lineTo(x, u.bbox.top + 7 * ratio);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  drawHeld(u) {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const [first, last] = this.stepRange();
    ctx.save();
    for (const series of this.series.filter((s) => s.held && s.shown)) {
      const points = this.evaluations.filter((r) => typeof r[series.key] === "number" && r.step >= first && r.step <= last)
        .map((r) => ({ x: u.valToPos(r.step, "x", true), y: u.valToPos(r[series.key], "y", true), interval: r[`${series.key}_interval`] }));
      ctx.strokeStyle = ctx.fillStyle = css(series.color);
      ctx.lineWidth = 1.25 * ratio;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      ctx.beginPath();
      points.forEach((p, i) => (i ? ctx.lineTo(p.x, p.y) : ctx.moveTo(p.x, p.y)));
      ctx.stroke();
      ctx.setLineDash([]);
      for (const p of points) {
        if (p.interval) {
          ctx.lineWidth = 1.5 * ratio;
          ctx.beginPath();
          for (const bound of p.interval) {
            const y = u.valToPos(bound, "y", true);
            ctx.moveTo(p.x - 3 * ratio, y);
            ctx.lineTo(p.x + 3 * ratio, y);
          }
          ctx.moveTo(p.x, u.valToPos(p.interval[0], "y", true));
          ctx.lineTo(p.x, u.valToPos(p.interval[1], "y", true));
          ctx.stroke();
        }
        ctx.beginPath();
        ctx.arc(p.x, p.y, 3.6 * ratio, 0, 2 * Math.PI);
        ctx.fill();
        ctx.lineWidth = 1.5 * ratio;
        ctx.strokeStyle = css("--sheet");
        ctx.stroke();
        ctx.strokeStyle = css(series.color);
      }
    }
    ctx.restore();
  }

  onCursor(u) {
    const left = u.cursor.left;
    const step = left === undefined || left === null || left < 0 ? null : this.snap(u.posToVal(left, "x"));
    if (step === this.cursorStep) return;
    this.cursorStep = step;
    this.drawLegend();
    if (u.cursor.event || step !== null) this.board.onStep(step);
  }

  snap(x) {
    const index = nearest(this.steps, x);
    return index < 0 ? Math.round(x) : this.steps[index];
  }

  onSelect(u) {
    if (u.select.width < 6) return;
    const from = Math.round(u.posToVal(u.select.left, "x")), to = Math.round(u.posToVal(u.select.left + u.select.width, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.board.zoom([from, Math.max(to, from + 1)]);
  }

  /** Put the cursor on a step without a mouse. */
  point(step) {
    if (!this.uplot) return;
    if (step === null) this.uplot.setCursor({ left: -10, top: -10 }, false);
    else this.uplot.setCursor({ left: this.uplot.valToPos(step, "x"), top: 1 }, false);
    this.cursorStep = step;
    this.drawLegend();
  }

  onKey(event) {
    const [first, last] = this.stepRange();
    const at = this.cursorStep;
    const index = at === null ? -1 : nearest(this.steps, at);
    const leap = event.shiftKey ? 10 : 1;
    const go = (i) => this.board.point(this.steps[Math.max(0, Math.min(this.steps.length - 1, i))] ?? null);
    const middle = at ?? (first + last) / 2;
    const scale = (factor) => {
      const [start, end] = this.allSteps();
      const from = Math.max(start, middle - (middle - first) * factor), to = Math.min(end, middle + (last - middle) * factor);
      this.board.zoom(from <= start && to >= end ? null : [Math.round(from), Math.max(Math.round(to), Math.round(from) + 1)]);
    };
    const actions = {
      ArrowRight: () => go(index + leap), ArrowLeft: () => go(index < 0 ? this.steps.length - 1 : index - leap),
      Home: () => go(0), End: () => go(this.steps.length - 1),
      "+": () => scale(0.5), "=": () => scale(0.5), "-": () => scale(2),
      Escape: () => { this.board.point(null); this.board.zoom(null); }, 0: () => this.board.zoom(null),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  toggleLog() {
    this.log = !this.log;
    this.logButton.setAttribute("aria-pressed", String(this.log));
    this.uplot?.destroy();
    this.uplot = null;
    this.redata();
  }

  toggle(series) {
    series.shown = !series.shown;
    if (!series.held) {
      const at = 1 + 2 * this.lines().indexOf(series);
      for (const i of [at, at + 1]) this.uplot?.setSeries(i, { show: series.shown }, false);
    }
    this.rescale();
    this.describe();
  }

  /** The value of a series at a step: smoothed where the curve is; of the last evaluation up to then where it is held out. */
  valueAt(series, step) {
    if (series.held) {
      const records = this.evaluations.filter((r) => typeof r[series.key] === "number" && (step === null || r.step <= step));
      const record = records.at(-1);
      return record ? { value: record[series.key], interval: record[`${series.key}_interval`], step: record.step } : { value: null };
    }
    const values = this.data[2 + 2 * this.lines().indexOf(series)];
    if (step === null) {
      let last = values.length - 1;
      while (last > 0 && (values[last] === null || values[last] === undefined)) last -= 1;
      return { value: values[last] ?? null };
    }
    const index = nearest(this.steps, step);
    return { value: index < 0 ? null : values[index] };
  }

  drawLegend() {
    this.series.forEach((series, i) => {
      const { value, interval, step } = this.valueAt(series, this.cursorStep);
      const place = this.legendValues?.[i];
      if (place) place.textContent = valueText(this.spec.unit, value);
      if (place) place.title = interval ? `95% interval ${valueText(this.spec.unit, interval[0])} to ${valueText(this.spec.unit, interval[1])}, after step ${step}` : "";
    });
  }

  describe() {
    const key = this.series.map((s) => s.shown).join();
    if (this.legendKey !== key) {
      this.legendKey = key;
      this.legendValues = this.series.map(() => h("span", { class: "value" }));
      fill(this.legend, this.series.map((series, i) => h("li", {}, h("button", {
        type: "button", "aria-pressed": String(series.shown), title: series.shown ? "Hide this curve" : "Show this curve", onclick: () => { this.toggle(series); this.legend.querySelectorAll("button")[i].focus(); },
      }, h("i", { class: series.held ? "dot" : series.dash ? "dash broken" : "dash", style: { "--color": `var(${series.color})` }, "aria-hidden": "true" }),
      h("span", { class: "label" }, series.label), this.legendValues[i]))));
    }
    this.drawLegend();
    const now = this.series.map((s) => `${s.label} ${valueText(this.spec.unit, this.valueAt(s, null).value)}`).join(", ");
    this.plot.setAttribute("aria-label", `${this.spec.title} over ${this.steps.length} steps; last: ${now}. Arrow keys move the step, plus and minus zoom.`);
  }

  saveCsv() {
    saveAs(`${this.tag}-${this.spec.id}.csv`, chartCsv(this), "text/csv");
  }

  async savePicture() {
    saveAs(`${this.tag}-${this.spec.id}.png`, await chartPicture(this), "image/png");
  }

  destroy() {
    this.observer.disconnect();
    this.uplot?.destroy();
    this.board.charts.delete(this);
  }
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
