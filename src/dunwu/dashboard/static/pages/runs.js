// All runs under the folders that the dashboard was given.

import { fill, h } from "../lib/dom.js";
import { ago, duration } from "../lib/format.js";
import { headline } from "../lib/headline.js";
import { emptyBox, stateMark } from "../lib/parts.js";
import { href } from "../lib/route.js";

const MANY = 8;

export default {
  title: "Runs",
  mount(el, context) {
    const chosen = new Set();
    let runs = [], wanted = "";
    const list = h("ul", { class: "runs" }, h("li", { class: "quiet" }, "Looking for runs…"));
    const compare = h("a", { class: "button", role: "link", "aria-disabled": "true" }, "Compare");
    const filter = h("input", { type: "search", placeholder: "Name, recipe or state", "aria-label": "Filter runs",
      oninput: (event) => { wanted = event.target.value.toLowerCase(); drawList(); } });
    const tools = h("div", { class: "tools" });
    const head = h("div", { class: "page-head" }, h("div", {}, h("h1", {}, "Runs"), h("p", { class: "small", id: "roots" })), tools);
    fill(el, head, list);

    function drawCompare() {
      const ready = chosen.size >= 2;
      compare.textContent = ready ? `Compare ${chosen.size} runs` : "Choose two runs to compare";
      compare.setAttribute("aria-disabled", String(!ready));
      if (ready) compare.setAttribute("href", href("compare", null, { runs: [...chosen].join(",") }));
      else compare.removeAttribute("href");
    }

    function drawList() {
      const focus = document.activeElement?.id;
      const found = runs.filter((run) => [run.id, run.title, run.state].join(" ").toLowerCase().includes(wanted));
      fill(list, found.map((run) => card(run, chosen, drawCompare)));
      if (!found.length) fill(list, h("li", { class: "quiet" }, `No run matches “${wanted}”.`));
      if (focus) document.getElementById(focus)?.focus();
    }

    context.poll("/api/runs", (data) => {
      runs = [...data.runs].sort((a, b) => Number(b.live) - Number(a.live) || String(b.updated ?? "").localeCompare(String(a.updated ?? "")));
      head.querySelector("#roots").textContent = data.roots.join(", ");
      if (!runs.length) {
        fill(list, h("li", {}, emptyBox("No run yet", `There is no run folder under ${data.roots.join(", ")}. Start one, and it appears here:`,
          h("pre", {}, "dunwu run r1-micro --run-dir runs/first"))));
        fill(tools);
        return;
      }
      if (!tools.childElementCount) fill(tools, runs.length > MANY ? filter : null, runs.length > 1 ? compare : null);
      drawCompare();
      drawList();
    }, (data) => (data?.runs.some((run) => run.live) ? 2 : 5));
  },
};

function card(run, chosen, onChoose) {
  const now = run.stages.find((stage) => stage.state === "running");
  const seconds = run.stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  const best = result(run);
  const id = `choose-${run.id}`;
  return h("li", { class: "run sheet" },
    h("div", { class: "run-choose" }, h("input", { type: "checkbox", id, checked: chosen.has(run.id), "aria-label": `Compare ${run.id}`,
      onchange: (event) => { event.target.checked ? chosen.add(run.id) : chosen.delete(run.id); onChoose(); } })),
    h("div", { class: "run-what" },
      h("h2", {}, h("a", { id: `run-${run.id}`, href: href("overview", run.id) }, run.id)),
      h("p", { class: "small quiet num" }, [run.title === run.id ? null : run.title, run.seed === null || run.seed === undefined ? null : `seed ${run.seed}`,
        seconds ? duration(seconds) : null, run.updated ? ago(run.updated) : null].filter(Boolean).join(" · "))),
    h("div", { class: "run-how" }, stateMark(run.state),
      h("span", { class: "small quiet num" }, now ? `${now.name}, step ${now.steps}${now.num_steps ? ` of ${now.num_steps}` : ""}${now.seconds_left ? `, about ${duration(now.seconds_left)} left` : ""}`
        : run.faults.length ? run.faults[0] : run.failure ?? "")),
    h("div", { class: "run-best" }, best ? headline(best) : null),
    strip(run));
}

/** The figure that says how far the run came: of its best model on held-out problems, before that of the stage that got furthest. */
function result(run) {
  const figures = run.stages.flatMap((stage) => stage.headlines.slice(0, 1).map((f) => ({ ...f, stage: stage.name })));
  const held = figures.filter((f) => f.label === "right, held out").sort((a, b) => a.value - b.value).at(-1);
  const figure = held ?? figures.at(-1);
  return figure ? { ...figure, label: `${figure.label}: ${figure.stage}` } : null;
}

/** The chain in one line: a mark for each stage. */
function strip(run) {
  if (!run.stages.length) return null;
  const done = run.stages.filter((stage) => stage.state === "finished").length;
  return h("ol", { class: "strip", "aria-label": `${done} of ${run.stages.length} stages finished` }, run.stages.map((stage) =>
    h("li", { class: `is-${stage.state}`, title: `${stage.name}: ${stage.state}` },
      h("i", { style: { "--done": `${stage.state === "finished" ? 100 : stage.num_steps ? (100 * stage.steps) / stage.num_steps : 0}%` } }),
      h("span", {}, stage.name), h("span", { class: "hidden-text" }, `: ${stage.state}`))));
}
