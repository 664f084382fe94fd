// Several runs side by side: where their recipes differ, their curves, what their stages came to.

import { apiPath } from "../lib/api.js";
import { Board, Chart } from "../lib/chart.js";
import { fill, h } from "../lib/dom.js";
import { sectionsFor } from "../lib/figures.js";
import { duration, number, share } from "../lib/format.js";
import { emptyBox, faultList } from "../lib/parts.js";
import { href, setParams } from "../lib/route.js";

const CURVES = ["reward", "accuracy", "format", "nll", "length", "self_check", "truncated", "entropy", "kl", "zero_spread", "grad_norm", "seconds"];
const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
let board = null;

export default {
  title: "Compare",
  mount(el, context) {
    const ids = (context.params.get("runs") ?? "").split(",").filter(Boolean);
    const head = h("div", { class: "page-head" }, h("div", {}, h("h1", {}, "Compare"), h("p", { class: "small" }, h("a", { href: href("runs") }, "Choose other runs"))));
    if (ids.length < 2) {
      fill(el, head, emptyBox("Choose two runs", "Mark two to six runs on the page Runs, then compare them."));
      return;
    }
    const body = h("div", {}, h("p", { class: "quiet" }, "Reading both runs…"));
    const curves = h("section", { class: "section" });
    fill(el, head, body);
    board = new Board();
    board.smoothing = 0.6;
    document.addEventListener("themechange", () => board?.redraw(), { signal: context.signal });
    let begun = false;
    context.poll(apiPath(["compare"], { runs: ids.join(",") }), (data) => {
      const open = new Set([...body.querySelectorAll("details[open]")].map((d) => d.dataset.stage));
      fill(body, runList(data), recipe(data), curves, figures(data, open));
      if (!begun) { begun = true; drawCurves(curves, data, context); }
    }, () => 10);
  },
  unmount() {
    for (const chart of board?.charts ?? []) chart.destroy();
    board = null;
  },
};

function runList(data) {
  const faults = data.runs.flatMap((run) => run.faults);
  return [faultList(faults), h("ul", { class: "keys" }, data.runs.map((run, i) => h("li", {},
    h("i", { style: { "--color": `var(${COLORS[i]})` }, "aria-hidden": "true" }),
    h("a", { href: href("overview", run.id) }, run.label), h("span", { class: "quiet" }, ` ${run.name}, seed ${run.seed ?? "–"}`))))];
}

function recipe(data) {
  const differing = data.recipe;
  return h("section", { class: "section" },
    h("div", { class: "section-head" }, h("h2", {}, "Where their recipes differ"),
      h("p", { class: "quiet small" }, differing.length ? "Every key whose value is not the same in all of them." : "Nowhere: they are the same, key by key.")),
    differing.length ? h("div", { class: "table-wrap sheet", tabindex: "0", role: "region", "aria-label": "Differences of the recipes" },
      h("table", { class: "data" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Key"), data.runs.map((run) => h("th", { scope: "col" }, run.label)))),
        h("tbody", {}, differing.map((entry) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, entry.key)),
          entry.values.map((value) => h("td", {}, value === null ? h("span", { class: "quiet" }, "absent") : h("code", {}, value)))))))) : null);
}

function text(unit, value) {
  if (unit === "share") return share(value);
  if (unit === "seconds") return duration(value);
  if (unit === "count") return value.toLocaleString("en");
  return number(value);
}

function difference(unit, d) {
  if (!d) return null;
  const sign = d.value > 0 ? "+" : d.value < 0 ? "−" : "";
  const signed = (v) => (unit === "share" ? `${(100 * v).toFixed(1)}` : number(v)).replace("-", "−");
  const shown = unit === "share" ? `${sign}${Math.abs(100 * d.value).toFixed(1)} points` : `${sign}${number(Math.abs(d.value))}`;
  const how = d.paired ? "problem by problem, on the same ones" : "of two sets of problems";
  return h("span", { class: `difference ${d.seen === "no difference seen" ? "" : "seen"}`, title: `${d.seen}; ${how}; 95% interval ${signed(d.low)} to ${signed(d.high)}` },
    `${shown} (${signed(d.low)} to ${signed(d.high)})`);
}

function figures(data, open) {
  const first = data.stages.find((stage) => stage.rows.some((row) => row.key === "accuracy"))?.name;
  return h("section", { class: "section" },
    h("div", { class: "section-head" }, h("h2", {}, "What their stages came to"),
      h("p", { class: "quiet small" }, `On held-out problems, with 95% intervals; below, the difference to ${data.runs[0].label}, in bold type where its interval leaves out 0.`)),
    data.stages.map((stage) => h("details", { class: "compared sheet", dataset: { stage: stage.name }, open: open.size ? open.has(stage.name) : stage.name === first },
      h("summary", {}, h("h3", {}, stage.name), h("span", { class: "quiet small" }, stage.kind === "column" ? " of the stage table" : stage.kind === stage.name ? "" : ` ${stage.kind.replaceAll("_", " ")}`)),
      stage.diagnoses.some((list) => list.length) ? h("ul", { class: "small notes" }, stage.diagnoses.flatMap((list, i) => list.map((d) => h("li", {}, `${data.runs[i].label}: ${d.name}, ${d.when}`)))) : null,
      stage.rows.length ? h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": `Figures of ${stage.name}` }, h("table", { class: "data" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Figure"), data.runs.map((run) => h("th", { scope: "col", class: "r" }, run.label)))),
        h("tbody", {}, stage.rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.name), row.cells.map((cell, i) => h("td", { class: "r" }, cell
          ? [h("strong", {}, text(row.unit, cell.value)), cell.low === null ? null : h("span", { class: "interval" }, `${text(row.unit, cell.low)} to ${text(row.unit, cell.high)}`), difference(row.unit, row.differences[i])]
          : h("span", { class: "quiet" }, "–")))))))) : null)));
}

async function drawCurves(place, data, context) {
  const names = data.stages.filter((stage) => !["column", "comparison"].includes(stage.kind)).map((stage) => stage.name);
  if (!names.length) return;
  let stage = names.includes(context.params.get("stage")) ? context.params.get("stage") : names[0];
  const grid = h("div", { class: "charts" });
  const select = h("select", { onchange: (event) => { stage = event.target.value; setParams({ stage }); show(); } }, names.map((name) => h("option", { value: name, selected: name === stage }, name)));
  fill(place, h("div", { class: "section-head page-head" }, h("h2", {}, "Their curves"), h("label", { class: "field" }, h("span", {}, "Stage"), select)), grid);
  async function show() {
    const wanted = stage;
    try {
      const series = await Promise.all(data.runs.map((run) => context.api(apiPath(["runs", run.id, "stages", wanted, "series"]))));
      if (wanted === stage && !context.signal.aborted) drawGrid(grid, data, series, stage);
    } catch (failure) {
      if (failure.name !== "AbortError") context.fail(failure);
    }
  }
  await show();
}

function drawGrid(grid, data, series, stage) {
  for (const chart of board.charts) chart.destroy();
  const steps = [...new Set(series.flatMap((one) => one.steps))].sort((a, b) => a - b);
  const at = new Map(steps.map((step, i) => [step, i]));
  const names = new Set(series.flatMap((one) => Object.keys(one.columns)));
  const specs = sectionsFor(names, new Set()).flatMap((section) => section.charts).filter((spec) => CURVES.includes(spec.id));
  const charts = specs.map((spec) => {
    const key = spec.lines[0].key;
    const columns = {};
    series.forEach((one, i) => {
      const column = new Array(steps.length).fill(null);
      one.steps.forEach((step, j) => { column[at.get(step)] = one.columns[key]?.[j] ?? null; });
      columns[`run-${i}`] = column;
    });
    const lines = data.runs.map((run, i) => ({ key: `run-${i}`, label: run.label, color: COLORS[i] }));
    const chart = new Chart(board, { ...spec, tells: spec.lines.length > 1 || spec.id === "accuracy" ? `The curve “${spec.lines[0].label}”.` : spec.tells, lines, held: [] }, `compare-${stage}`);
    chart.update({ steps, columns, evaluations: [], marks: [] });
    return chart;
  });
  fill(grid, charts.length ? charts.map((chart) => chart.element) : h("p", { class: "quiet" }, "This stage has no steps in these runs."));
}
