// The models of a run side by side, with intervals, and what the paper found.

import { apiPath } from "../lib/api.js";
import { fill, h } from "../lib/dom.js";
import { number, share } from "../lib/format.js";
import { intervalBar } from "../lib/interval.js";
import { emptyBox, faultList } from "../lib/parts.js";
import { setParams } from "../lib/route.js";
import { csv, saveAs } from "../lib/download.js";

export default {
  title: "Stage table",
  mount(el, context) {
    let wanted = context.params.get("stage");
    let first = true;
    let asking = null;
    fill(el, h("p", { class: "quiet" }, "Reading the table…"));
    const address = () => apiPath(["runs", context.runId, "table"], { stage: wanted });
    const draw = (data) => fill(el, page(data, context, (name) => {
      wanted = name;
      setParams({ stage: name });
      asking.now();
    }));
    // The stage in the address may be one of another kind, chosen on another page.
    context.onRun((run) => {
      if (!first) return;
      first = false;
      if (!run.stages.some((stage) => stage.name === wanted && (stage.kind === "comparison" || stage.has_table))) wanted = null;
      asking = context.poll(address, draw, () => (context.run?.live ? 5 : 30));
    });
  },
};

function page(data, context, choose) {
  const { table } = data;
  const tools = h("div", { class: "tools" },
    data.stages.length > 1 ? h("label", { class: "field" }, h("span", {}, "Comparison"),
      h("select", { onchange: (event) => choose(event.target.value) }, data.stages.map((name) => h("option", { value: name, selected: name === data.stage }, name)))) : null,
    table ? h("button", { type: "button", onclick: () => save(table, context.runId) }, "Download as CSV") : null);
  const head = h("div", { class: "page-head" }, h("div", {}, h("h1", {}, "Stage table"), table ? h("p", {}, asked(table)) : null), tools);
  if (table) return [head, faultList(data.faults), tableOf(table), findings(table), notes(table)];
  if (data.faults.length) return [head, faultList(data.faults)];
  return [head, data.stages.length ? emptyBox("Not yet", `The table is written when the stage ${data.stage} is finished.`)
    : emptyBox("No stage table", "The recipe of this run has no stage of the kind “comparison”. It samples from several models of the run with the same problems and sets them side by side:",
      h("pre", {}, '[[stages]]\nkind = "comparison"'))];
}

function asked(table) {
  const count = (n) => n.toLocaleString("en");
  const general = table.num_general ? `; ${count(table.num_general)} general prompts, ${table.samples_per_general} responses each` : "";
  return `${count(table.num_problems ?? 0)} held-out problems, ${table.samples_per_problem} answers each${general}. Below each figure its 95% interval.`;
}

const text = (unit, value) => (unit === "share" ? share(value) : number(value));

function tableOf(table) {
  return h("div", { class: "table-wrap sheet stage-table", tabindex: "0", role: "region", "aria-label": "Stage table" },
    h("table", { class: "data" },
      h("thead", {}, h("tr", {}, h("td", {}), table.columns.map((column) => h("th", { scope: "col", class: "r" }, column.label)))),
      h("tbody", {}, table.rows.map((row) => {
        const known = row.cells.filter(Boolean);
        const most = row.unit === "share" ? 1 : Math.max(1e-9, ...known.map((cell) => cell.high ?? cell.value));
        return h("tr", { class: row.key.includes(".") ? "inner" : null }, h("th", { scope: "row" }, row.name), row.cells.map((cell) => h("td", { class: "r" }, cell
          ? [h("strong", {}, text(row.unit, cell.value)), h("span", { class: "interval" }, `${text(row.unit, cell.low)} to ${text(row.unit, cell.high)}`), intervalBar(cell, 0, most)]
          : h("span", { class: "quiet", title: "not measured" }, "–"))));
      }))));
}

const VERDICTS = { holds: "good", "does not hold": "bad", undecided: "warn" };

function findings(table) {
  if (!table.findings.length) return null;
  return h("section", { class: "section" }, h("div", { class: "section-head" }, h("h2", {}, "What the paper found"), h("p", { class: "quiet small" }, "Each claim holds here if the interval of its difference says so.")),
    h("ul", { class: "findings" }, table.findings.map((finding) => h("li", { class: "sheet" },
      h("div", { class: "finding-head" }, h("h3", {}, finding.claim), h("span", { class: `verdict verdict-${VERDICTS[finding.verdict] ?? "warn"}` }, finding.verdict)),
      h("ul", {}, finding.checks.map(check))))));
}

function check(one) {
  const points = (value) => `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)}`.replace("-", "−");
  const what = h("span", {}, h("span", { class: "quiet" }, `${one.rows.join(", ")}: `), `${one.first} − ${one.second}`);
  if (one.difference === null || one.difference === undefined) return h("li", {}, what, h("span", { class: "quiet" }, " not measured"));
  const span = Math.max(0.02, Math.abs(one.low), Math.abs(one.high), Math.abs(one.margin ?? 0)) * 1.1;
  return h("li", {}, what, h("span", { class: "num check-value" }, h("strong", {}, `${points(one.difference)} points`), h("span", { class: "interval" }, `${points(one.low)} to ${points(one.high)}`)),
    intervalBar({ value: one.difference, low: one.low, high: one.high }, -span, span, true));
}

function notes(table) {
  const { sampling } = table;
  const lines = [
    sampling ? `Sampled at temperature ${sampling.temperature}, top-p ${sampling.top_p}, at most ${sampling.max_new_tokens} tokens; all models with the same random numbers. Intervals are over problems.` : null,
    ...table.columns.map((c) => (c.model ? `${c.label} (${c.model}): template ${c.template}, form ${c.output_form}, answers from ${[c.answer_from].flat().join(", ")}; ${c.why}.` : null)),
    table.judged_by ? `Helpfulness and harmlessness: ${table.judged_by}.` : null,
  ].filter(Boolean);
  return h("details", { class: "section" }, h("summary", {}, h("h2", {}, "How the figures came about")), h("ul", { class: "small notes" }, lines.map((line) => h("li", {}, line))));
}

function save(table, runId) {
  const rows = table.rows.flatMap((row) => row.cells.map((cell, i) => [row.name, table.columns[i].label, cell?.value, cell?.low, cell?.high]));
  saveAs(`${runId}-stage-table.csv`, csv(["figure", "model", "value", "low", "high"], [0, 1, 2, 3, 4].map((i) => rows.map((r) => r[i]))), "text/csv");
}
