// One run: its chain of stages, how each stands, and the few figures that matter.

import { fill, h, s } from "../lib/dom.js";
import { duration, number, when } from "../lib/format.js";
import { headline } from "../lib/headline.js";
import { emptyBox, faultList, stateMark } from "../lib/parts.js";
import { drawRail, railWidth } from "../lib/rail.js";
import { href } from "../lib/route.js";
import { sparkline } from "../lib/spark.js";

const SPARK_NAMES = { accuracy: "right answers", nll: "loss", kept_frac: "share kept", reward: "reward", loss: "loss" };
let observer = null;

export default {
  title: "Chain",
  mount(el, context) {
    let shown = "";
    fill(el, h("p", { class: "quiet" }, "Reading the run…"));
    context.onRun((run) => {
      const text = JSON.stringify(run);
      if (text === shown) return;
      shown = text;
      draw(el, run);
    });
  },
  unmount() {
    observer?.disconnect();
    observer = null;
  },
};

function draw(el, run) {
  const focused = document.activeElement?.closest?.(".stage-row")?.dataset.stage;
  fill(el, heading(run), faultList(run.faults), run.failure ? h("section", { class: "faults bad", "aria-label": "Why it failed" }, h("h2", {}, "It failed"), h("pre", {}, run.failure)) : null,
    run.stages.length ? chain(run) : emptyBox("No stage yet", "The recipe of this run cannot be read, and no stage has begun."),
    facts(run));
  if (focused) el.querySelector(`.stage-row[data-stage="${CSS.escape(focused)}"] a`)?.focus();
}

function heading(run) {
  const done = run.stages.filter((stage) => stage.state === "finished").length;
  const now = run.stages.find((stage) => stage.state === "running");
  const seconds = run.stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  return h("div", { class: "page-head" },
    h("div", {}, h("h1", {}, run.title === run.id ? run.title : [run.id, h("span", { class: "of" }, ` ${run.title}`)]),
      h("p", { class: "stage-line num" }, stateMark(run.state),
        h("span", {}, `${done} of ${run.stages.length} stages`),
        now?.seconds_left ? h("span", {}, `${now.name}: about ${duration(now.seconds_left)} left`) : null,
        seconds ? h("span", {}, `${duration(seconds)} of work`) : null,
        run.seed !== null && run.seed !== undefined ? h("span", {}, `seed ${run.seed}`) : null)));
}

function chain(run) {
  const rail = s("svg", { class: "rail", "aria-hidden": "true" });
  const rows = run.stages.map((stage) => row(run, stage));
  const list = h("ol", { class: "chain", style: { "--rail": `${railWidth(run.stages)}px` } }, rows);
  const box = h("div", { class: "chain-box" }, rail, list);
  let chosen = null;
  const redraw = () => {
    const top = box.getBoundingClientRect().top;
    const middles = rows.map((r) => {
      const name = r.querySelector(".stage-name").getBoundingClientRect();
      return Math.round(name.top + name.height / 2 - top);
    });
    drawRail(rail, run.stages, middles, box.clientHeight, chosen);
  };
  const choose = (name) => {
    chosen = name;
    const stage = run.stages.find((one) => one.name === name);
    rows.forEach((r, i) => {
      const other = run.stages[i];
      r.classList.toggle("near", name !== null && (stage.reads.includes(other.name) || other.reads.includes(name)));
    });
    redraw();
  };
  rows.forEach((r, i) => {
    r.addEventListener("mouseenter", () => choose(run.stages[i].name));
    r.addEventListener("focusin", () => choose(run.stages[i].name));
  });
  list.addEventListener("mouseleave", () => choose(null));
  list.addEventListener("focusout", () => choose(null));
  observer?.disconnect();
  observer = new ResizeObserver(redraw);
  observer.observe(box);
  return box;
}

function row(run, stage) {
  const page = stage.has_table ? "table" : "training";
  const name = stage.state === "waiting" ? h("span", { class: "stage-name" }, stage.name)
    : h("a", { class: "stage-name", href: href(page, run.id, { stage: stage.name }) }, stage.name);
  return h("li", { class: `stage-row is-${stage.state}`, dataset: { stage: stage.name } },
    h("div", { class: "stage-what" }, name, h("span", { class: "stage-from" }, origin(stage))),
    h("div", { class: "stage-how" }, stateMark(stage.state), progress(stage), stage.diagnoses.map((d) =>
      h("a", { class: d.ended === null ? "ailment" : "ailment over", href: href("training", run.id, { stage: stage.name }), title: d.evidence }, `${d.name}, ${d.when}`))),
    h("div", { class: "stage-figures" }, stage.headlines.map(headline)),
    h("div", { class: "stage-spark" }, stage.spark && stage.kind !== "comparison" ? [
      sparkline(stage.spark.values, `${sparkName(stage)} from ${number(stage.spark.values[0])} to ${number(stage.spark.values.at(-1))}`),
      h("span", { class: "figure-name", "aria-hidden": "true" }, sparkName(stage))] : null));
}

function sparkName(stage) {
  const { key } = stage.spark;
  return stage.kind === "reward_model" && key === "accuracy" ? "ranked rightly" : SPARK_NAMES[key] ?? key;
}

/** What a stage is and what it begins with, where its name does not say so. */
function origin(stage) {
  const kind = stage.kind.replaceAll("_", " ");
  const parts = [stage.kind === stage.name ? null : kind];
  if (stage.reads.length > 3) parts.push(`reads ${stage.reads.length} stages`);
  else if (stage.reads.length) parts.push(`reads ${stage.reads.join(", ")}`);
  if (stage.start && !stage.reads.includes(stage.start)) parts.push(`starts from ${stage.start}`);
  return parts.filter(Boolean).join(" · ");
}

function progress(stage) {
  if (stage.state === "finished") return h("span", { class: "quiet small num" }, stage.seconds ? duration(stage.seconds) : "");
  if (stage.state === "waiting" || !stage.num_steps) return null;
  const left = stage.seconds_left ? `, about ${duration(stage.seconds_left)} left` : "";
  return [
    h("progress", { max: stage.num_steps, value: stage.steps, "aria-label": `${stage.name}: step ${stage.steps} of ${stage.num_steps}` }),
    h("span", { class: "quiet small num" }, `step ${stage.steps} of ${stage.num_steps}${left}`)];
}

function facts(run) {
  const versions = Object.entries(run.versions ?? {}).map(([name, version]) => `${name} ${version}`).join(", ");
  const entries = [["Folder", h("code", {}, run.path)], ["Begun", when(run.started)], ["Last event", when(run.updated)], ["Made with", versions || "–"]];
  return h("dl", { class: "facts" }, entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "num" }, value))));
}
