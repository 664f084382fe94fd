// The paper's figures of a model that learns to think, from this run.

import { apiPath } from "../lib/api.js";
import { Board, Chart } from "../lib/chart.js";
import { fill, h } from "../lib/dom.js";
import { number, share } from "../lib/format.js";
import { emptyBox, faultList } from "../lib/parts.js";
import { momentsView } from "../lib/moments.js";
import { languageName } from "../lib/rollout-parts.js";
import { href, setParams } from "../lib/route.js";
import { wordRows } from "../lib/word-rows.js";

const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
let page = null;

export default {
  title: "Self-evolution",
  async mount(el, context) {
    page = new EvolutionPage(el, context);
    await page.start();
  },
  unmount() {
    page?.clear();
    page = null;
  },
};

class EvolutionPage {
  constructor(el, context) {
    Object.assign(this, { el, context, board: new Board() });
    this.board.setSmoothing(0.5);
    document.addEventListener("themechange", () => this.board.redraw(), { signal: context.signal });
  }

  async start() {
    const { context } = this;
    const { stages } = await context.api(apiPath(["runs", context.runId, "rollouts"]));
    const sampled = stages.filter((stage) => stage.rollouts);
    if (!sampled.length) {
      fill(this.el, h("div", { class: "page-head" }, h("h1", {}, "Self-evolution")),
        emptyBox("No rollouts yet", "The curves are drawn from what the policy writes; they begin with the first step of an RL stage."));
      context.poll(apiPath(["runs", context.runId, "rollouts"]), (found) => {
        if (found.stages.some((stage) => stage.rollouts)) this.start();
      });
      return;
    }
    const asked = context.params.get("stage");
    const most = sampled.toSorted((a, b) => b.rollouts - a.rollouts)[0];
    this.stage = sampled.find((stage) => stage.name === asked)?.name ?? most.name;
    const select = h("select", { onchange: (event) => { setParams({ stage: event.target.value }); this.stage = event.target.value; this.follow(); } },
      sampled.map((stage) => h("option", { value: stage.name, selected: stage.name === this.stage }, stage.name)));
    this.line = h("p", { class: "list-line num", role: "status" });
    this.faults = h("div", {});
    this.body = h("div", {});
    fill(this.el,
      h("div", { class: "page-head" }, h("div", {}, h("h1", {}, "Self-evolution"),
        h("p", {}, "Did it learn to think? The paper's figures, drawn from every completion of this stage.")),
      h("div", { class: "tools" }, h("label", { class: "field" }, h("span", {}, "Stage"), select))),
      this.line, this.faults, this.body);
    this.follow();
  }

  follow() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.clear();
    this.shape = null;
    fill(this.body, h("p", { class: "quiet" }, "Reading the rollouts…"));
    const signal = AbortSignal.any([this.context.signal, this.stop.signal]);
    this.context.pollWith(signal, apiPath(["runs", this.context.runId, "stages", this.stage, "evolution"]), (data) => this.take(data),
      (data) => (data && !data.complete ? 2 : this.context.run?.live === false ? 20 : 5));
  }

  take(data) {
    fill(this.faults, faultList(data.faults));
    const parts = [`${data.rows.toLocaleString("en")} completions of ${data.files.toLocaleString("en")} rollouts`];
    if (data.files < data.num_files) parts.push(`${data.num_files.toLocaleString("en")} rollouts in all: reading on`);
    this.line.textContent = parts.join(" · ");
    if (!data.rows) return;
    const { curves } = data;
    const shape = JSON.stringify([Object.keys(curves.accuracy_by_kind), Object.keys(curves.accuracy_by_level), Object.keys(curves.mixed_by_language), data.held_out.levels.map((l) => l.level)]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.build(data);
    }
    this.update(data);
  }

  build(data) {
    this.clear();
    const { curves } = data;
    const tag = `${this.context.runId}-${this.stage}-evolution`;
    const chart = (spec) => new Chart(this.board, spec, tag).element;
    const lines = (names, prefix, label = (name) => name) => names.map((name, i) => ({ key: `${prefix}${name}`, label: label(name), color: COLORS[i % COLORS.length] }));
    this.summary = h("div", { class: "headline" });
    this.words = h("div", { class: "word-tables" });
    this.moments = h("div", {});
    const levels = Object.keys(curves.accuracy_by_level), kinds = Object.keys(curves.accuracy_by_kind), languages = Object.keys(curves.mixed_by_language);
    const held = data.held_out.levels.length && data.held_out.evaluations.length > 0;
    fill(this.body, this.summary,
      section("How much does it think?", "The length of its completions, over the steps.",
        chart({ id: "length", title: "Length", unit: "tokens", floor: 0, tells: "Mean tokens: all, right, wrong.", lines: [
          { key: "length", label: "all" }, { key: "length_right", label: "right", color: "--c3" }, { key: "length_wrong", label: "wrong", color: "--c2" }] }),
        chart({ id: "spread", title: "Spread of lengths", unit: "tokens", floor: 0, tells: "One in ten is shorter, half, one in ten is longer than this.", lines: [
          { key: "length_low", label: "shortest tenth", color: "--c6" }, { key: "length_median", label: "median" }, { key: "length_high", label: "longest tenth", color: "--c4" }] }),
        chart({ id: "truncated", title: "Cut off", unit: "share", floor: 0, tells: "Share that reached the length limit.", lines: [{ key: "truncated", label: "cut off" }] })),
      h("section", { class: "section" },
        h("div", { class: "section-head" }, h("h2", {}, "Which words does it reflect with?"),
          h("p", { class: "quiet small" }, "Occurrences per 1,000 completions, each word on its own scale. The paper counts these ten; their Chinese counterparts are ours. Its own policy used them 5 to 7 times as often at the end as at the start.")),
        this.words),
      section("Does it pay to reflect?", "Completions with a reflection word beside those without.",
        chart({ id: "reflects", title: "Reflects", unit: "share", floor: 0, tells: "Share of completions with at least one reflection word.", lines: [{ key: "reflects", label: "reflects" }] }),
        chart({ id: "pays", title: "Right answers", unit: "share", floor: 0, ceiling: 1, tells: "Of completions that reflect, and of those that do not. Hard problems invite reflection: see the comparison within groups above.", lines: [
          { key: "right_if_reflects", label: "with", color: "--c3" }, { key: "right_if_not", label: "without", color: "--c6" }] }),
        chart({ id: "corrected", title: "Corrected itself", unit: "share", floor: 0, tells: "Share of all completions that went wrong, noticed it, and ended right.", lines: lines(Object.keys(curves.corrected), "corrected_") })),
      h("section", { class: "section" }, h("div", { class: "section-head" }, h("h2", {}, "The first aha moments"),
        h("p", { class: "quiet small" }, "Found by rule, the earliest of each kind, harder problems first. Whether one is an insight is for you to judge.")), this.moments),
      section("What does it learn to solve?", "Right answers by difficulty.",
        held ? chart({ id: "held", title: "Held-out problems by level", unit: "share", floor: 0, ceiling: 1, tells: "Levels told by half of the samples of the first evaluation; only the other half counts there. With 95% intervals.", lines: [],
          held: data.held_out.levels.map((level, i) => ({ key: `held_${i}`, label: level.level, color: COLORS[i] })) }) : null,
        levels.length ? chart({ id: "levels", title: "Training problems by level", unit: "share", floor: 0, ceiling: 1, tells: "Levels told by the group that met a problem first, which itself does not count.", lines: lines(levels, "level_") }) : null,
        chart({ id: "kinds", title: "By kind of problem", unit: "share", floor: 0, ceiling: 1, tells: "Right answers of the training samples.", lines: kinds.length ? lines(kinds, "kind_") : [{ key: "accuracy", label: "all" }] })),
      section("Does it mix languages?", "Completions in which at least a tenth of the words are in another script than the question's.",
        chart({ id: "mixed", title: "Mixed languages", unit: "share", floor: 0, tells: "By the language of the question.", lines: [{ key: "mixed", label: "all", color: "--c6" }, ...lines(languages, "mixed_", languageName)] })));
  }

  update(data) {
    const { curves } = data;
    const steps = curves.steps.map(([first, last]) => Math.round((first + last) / 2));
    const columns = {
      length: curves.length.mean, length_right: curves.length.right, length_wrong: curves.length.wrong,
      length_low: curves.length.low, length_median: curves.length.median, length_high: curves.length.high,
      truncated: curves.truncated, reflects: curves.reflects, right_if_reflects: curves.right_if_reflects, right_if_not: curves.right_if_not,
      accuracy: curves.accuracy, mixed: curves.mixed,
      ...named("corrected_", curves.corrected), ...named("level_", curves.accuracy_by_level), ...named("kind_", curves.accuracy_by_kind), ...named("mixed_", curves.mixed_by_language),
    };
    const evaluations = data.held_out.evaluations.map((evaluation, at) => {
      const record = { step: evaluation.step, label: evaluation.label };
      data.held_out.levels.forEach((level, i) => {
        const point = level.points[at];
        if (point) Object.assign(record, { [`held_${i}`]: point.mean, [`held_${i}_interval`]: [point.low, point.high] });
      });
      return record;
    });
    for (const chart of this.board.charts) chart.update({ steps, columns, evaluations, marks: [] });
    fill(this.summary, headlines(curves, data));
    const link = (word, step) => href("rollouts", this.context.runId, { stage: this.stage, word, from: step, order: step ? "up" : null, sort: step ? "step" : null });
    fill(this.words, wordRows("The paper's words", data.words.filter((word) => /^[a-z]/.test(word)), curves, link),
      wordRows("Their Chinese counterparts", data.words.filter((word) => !/^[a-z]/.test(word)), curves, link));
    const toMoment = (moment) => href("rollouts", this.context.runId, { stage: this.stage, rollout: moment.rollout, group: moment.group, sample: moment.sample });
    fill(this.moments, data.moments.length ? momentsView(data.moments, toMoment)
      : h("p", { class: "quiet" }, "None so far: no completion went wrong, reflected, and ended right in a way that a rule can see."));
  }

  clear() {
    for (const chart of [...this.board.charts]) chart.destroy();
  }
}

/** What a reader wants to know first, each with its figure. */
function headlines(curves, data) {
  const edge = (values) => {
    const known = values.filter((value) => value !== null), count = Math.max(1, Math.ceil(known.length / 10));
    const avg = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : null);
    return [avg(known.slice(0, count)), avg(known.slice(-count))];
  };
  const sum = curves.steps.map((_, i) => Object.values(curves.words).reduce((total, values) => total + values[i], 0));
  const figure = (name, [from, to], text, note) => h("div", { class: "figure" }, h("span", { class: "figure-name" }, name),
    h("span", { class: "figure-value num" }, h("span", { class: "was" }, text(from)), h("span", { class: "arrow" }, "→"), h("strong", {}, text(to))), note ? h("span", { class: "interval" }, note) : null);
  const words = edge(sum), pays = curves.reflection_pays;
  const times = curves.corrected ? Object.values(curves.corrected).map((values) => edge(values)) : [];
  return [
    figure("Length, tokens", edge(curves.length.mean), (value) => number(value)),
    figure("Reflection words per 1,000", words, (value) => number(value), words[0] ? `${number(words[1] / words[0])} times as often; the paper: 5 to 7` : null),
    figure("Completions that reflect", edge(curves.reflects), (value) => share(value, 0)),
    figure("Right answers", edge(curves.accuracy), (value) => share(value, 0)),
    figure("Corrected itself", times.reduce((a, b) => [a[0] + b[0], a[1] + b[1]], [0, 0]), (value) => share(value)),
    figure("Mixed languages", edge(curves.mixed), (value) => share(value)),
    h("div", { class: "figure" }, h("span", { class: "figure-name" }, "Does reflecting pay? Right with, minus without, in one group"),
      h("span", { class: "figure-value num" }, h("strong", {}, pays.mean === null ? "–" : `${pays.mean > 0 ? "+" : ""}${share(pays.mean)}`)),
      pays.mean === null ? null : h("span", { class: "interval" }, `${share(pays.low)} to ${share(pays.high)}, ${pays.groups.toLocaleString("en")} groups`)),
  ];
}

function section(title, tells, ...charts) {
  return h("section", { class: "section" }, h("div", { class: "section-head" }, h("h2", {}, title), h("p", { class: "quiet small" }, tells)), h("div", { class: "charts" }, charts));
}

function named(prefix, columns) {
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [`${prefix}${name}`, values]));
}
