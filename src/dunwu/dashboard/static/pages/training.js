// The figures of a stage over its steps, live while it trains.

import { apiPath } from "../lib/api.js";
import { Board, Chart } from "../lib/chart.js";
import { fill, h } from "../lib/dom.js";
import { sectionsFor } from "../lib/figures.js";
import { duration, number } from "../lib/format.js";
import { emptyBox, faultList, stageSelect, stateMark } from "../lib/parts.js";
import { ProfilePart } from "../lib/profile.js";
import { setParams } from "../lib/route.js";

let page = null;

export default {
  title: "Training",
  mount(el, context) {
    page = new TrainingPage(el, context);
  },
  unmount() {
    page?.destroy();
    page = null;
  },
};

class TrainingPage {
  constructor(el, context) {
    this.context = context;
    this.stage = context.params.get("stage");
    this.board = new Board();
    this.board.setSmoothing(Number(context.params.get("smooth") ?? 0.5) || 0);
    this.board.onStep = (step) => this.showStep(step);
    this.board.onWindow = (window) => this.showWindow(window);
    this.head = h("div", { class: "page-head" });
    this.status = h("p", { class: "stage-line num" });
    this.faults = h("div", {});
    this.diagnoses = h("div", {});
    this.charts = h("div", {}, h("p", { class: "quiet" }, "Reading the figures…"));
    this.stepBox = h("output", { class: "step-now num", "aria-live": "off" }, "all steps");
    this.profile = new ProfilePart(context);
    fill(el, this.head, this.faults, this.diagnoses, this.charts, this.profile.element);
    const recolor = () => this.board.redraw();
    document.addEventListener("themechange", recolor, { signal: context.signal });
    context.onRun((run) => this.onRun(run));
  }

  onRun(run) {
    this.run = run;
    const names = run.stages.map((stage) => stage.name).join("\n");
    if (this.names !== names) {
      this.names = names;
      this.drawHead();
      if (!this.polling && this.stage) this.follow();
    }
    this.drawStatus();
  }

  drawHead() {
    const { run } = this;
    if (!run.stages.some((stage) => stage.name === this.stage)) {
      const trained = run.stages.filter((stage) => stage.steps > 0 && stage.kind !== "comparison");
      this.stage = (trained.find((stage) => stage.state === "running") ?? trained[0] ?? run.stages[0])?.name ?? null;
    }
    if (!this.stage) {
      fill(this.head, h("div", {}, h("h1", {}, "Training")));
      fill(this.charts, emptyBox("No stage yet", "The recipe of this run cannot be read, and no stage has begun."));
      return;
    }
    const smoothing = h("input", { type: "range", min: "0", max: "0.98", step: "0.02", value: String(this.board.smoothing), "aria-label": "Smoothing",
      oninput: (event) => {
        this.board.setSmoothing(Number(event.target.value));
        value.textContent = number(Number(event.target.value));
        setParams({ smooth: event.target.value });
      } });
    const value = h("output", { class: "num" }, number(this.board.smoothing));
    this.reset = h("button", { type: "button", disabled: true, onclick: () => this.board.zoom(null) }, "Whole run");
    fill(this.head,
      h("div", {}, h("h1", {}, "Training"), this.status),
      h("div", { class: "tools" },
        stageSelect(run, this.stage, () => true, (name) => this.choose(name)),
        h("div", { class: "field" }, h("span", {}, "Smoothing"), h("div", { class: "range" }, smoothing, value)),
        h("div", { class: "field" }, h("span", {}, "Steps"), h("div", { class: "range" }, this.stepBox, this.reset)),
        h("a", { class: "button", download: "", href: apiPath(["runs", run.id, "stages", this.stage, "figures.csv"]) }, "All figures as CSV")));
  }

  drawStatus() {
    const stage = this.run.stages.find((s) => s.name === this.stage);
    if (!stage) return;
    const steps = stage.num_steps ? `step ${stage.steps.toLocaleString("en")} of ${stage.num_steps.toLocaleString("en")}` : `${stage.steps} steps`;
    fill(this.status, stateMark(stage.state), h("span", {}, steps),
      stage.seconds_left ? h("span", {}, `about ${duration(stage.seconds_left)} left`) : null,
      stage.seconds_per_step ? h("span", {}, `${number(stage.seconds_per_step)} s per step`) : null);
  }

  choose(name) {
    this.stage = name;
    setParams({ stage: name });
    this.stop?.abort();
    this.polling = false;
    this.clear();
    this.drawHead();
    this.drawStatus();
    this.follow();
  }

  clear() {
    this.board.zoom(null);
    for (const chart of this.board.charts) chart.destroy();
    this.shape = null;
    this.data = null;
    fill(this.charts);
    fill(this.diagnoses);
    fill(this.faults);
  }

  follow() {
    this.polling = true;
    this.stop = new AbortController();
    const signal = AbortSignal.any([this.context.signal, this.stop.signal]);
    const address = () => apiPath(["runs", this.context.runId, "stages", this.stage, "series"],
      this.data ? { since: this.data.steps.at(-1) ?? 0, epoch: this.data.epoch } : {});
    this.context.pollWith(signal, address, (answer) => this.take(answer));
    this.profile.follow(this.stage, signal);
  }

  take(answer) {
    this.data = answer.since === 0 || !this.data ? answer : joined(this.data, answer);
    fill(this.faults, faultList(answer.faults));
    const { steps, columns, evaluations, diagnoses } = this.data;
    if (!steps.length && !evaluations.length) {
      fill(this.charts, emptyBox("No step yet", "The curves appear here with the first step of the stage."));
      this.shape = null;
      return;
    }
    const names = new Set(Object.keys(columns));
    const held = new Set(evaluations.flatMap((record) => Object.keys(record)));
    const shape = [...names, "|", ...held].sort().join();
    if (this.shape !== shape) {
      this.shape = shape;
      this.build(sectionsFor(names, held));
    }
    const marks = diagnoses.map((diagnosis) => ({ step: diagnosis.began, figures: diagnosis.figures, name: diagnosis.name }));
    for (const chart of this.board.charts) chart.update({ steps, columns, evaluations, marks });
    this.drawDiagnoses(diagnoses);
    this.showWindow(this.board.window);
  }

  build(sections) {
    for (const chart of this.board.charts) chart.destroy();
    const tag = `${this.context.runId}-${this.stage}`;
    fill(this.charts, sections.map((section) => {
      const grid = h("div", { class: "charts" }, section.charts.map((spec) => new Chart(this.board, spec, tag).element));
      const head = [h("h2", {}, section.title), h("p", { class: "quiet small" }, section.tells)];
      return section.folded ? h("details", { class: "section" }, h("summary", {}, head), grid) : h("section", { class: "section" }, h("div", { class: "section-head" }, head), grid);
    }));
  }

  drawDiagnoses(diagnoses) {
    const key = JSON.stringify(diagnoses);
    if (this.diagnosesKey === key) return;
    this.diagnosesKey = key;
    fill(this.diagnoses, diagnoses.length ? h("section", { class: "diagnoses", "aria-label": "Diagnosis" },
      diagnoses.map((d) => h("details", { class: d.ended === null ? "diagnosis" : "diagnosis over" },
        h("summary", {}, h("strong", {}, d.name), h("span", { class: "quiet num" }, ` ${d.when}`)),
        h("dl", {}, h("dt", {}, "Seen"), h("dd", {}, d.evidence), h("dt", {}, "That means"), h("dd", {}, d.meaning), h("dt", {}, "What helps"), h("dd", {}, d.remedy)),
        h("button", { type: "button", onclick: () => this.board.point(d.began) }, `Show step ${d.began}`)))) : null);
  }

  showStep(step) {
    this.stepBox.textContent = step === null ? this.windowText() : `step ${step.toLocaleString("en")}`;
  }

  showWindow(window) {
    if (this.reset) this.reset.disabled = window === null;
    this.stepBox.textContent = this.windowText();
  }

  windowText() {
    const { window } = this.board;
    return window ? `${window[0].toLocaleString("en")} to ${window[1].toLocaleString("en")}` : "all steps";
  }

  destroy() {
    for (const chart of this.board.charts) chart.destroy();
  }
}

/** What is known with what is new after it. */
function joined(known, answer) {
  const count = known.steps.length, more = answer.steps.length;
  const columns = {};
  for (const name of new Set([...Object.keys(known.columns), ...Object.keys(answer.columns)])) {
    columns[name] = [...(known.columns[name] ?? new Array(count).fill(null)), ...(answer.columns[name] ?? new Array(more).fill(null))];
  }
  return { ...answer, steps: [...known.steps, ...answer.steps], columns };
}
