// One problem through time: every group that answered it, and what changed from one answer to another.

import { apiPath } from "./api.js";
import { completion, marksLegend } from "./completion.js";
import { fill, h, s } from "./dom.js";
import { number, share } from "./format.js";
import { dots, languageName, mean, verdict, whenText } from "./rollout-parts.js";

const WIDTH = 720, HEIGHT = 120;

export class History {
  /** `base`: the API's address parts of the stage; `of`: what is asked; `link(item)`: the address of a group. */
  constructor(context, base, of, link, back) {
    Object.assign(this, { context, base, of, link, back });
    this.diff = h("section", { class: "change", "aria-live": "polite", "aria-label": "What changed" });
    this.element = h("div", { class: "history" });
  }

  async load(id) {
    this.data = await this.context.api(apiPath([...this.base, "problem"], { id, of: this.of }));
    const { visits } = this.data;
    this.old = keyOf(visits[0], typical(visits[0]));
    this.new = keyOf(visits.at(-1), typical(visits.at(-1)));
    this.draw();
    if (this.old !== this.new) await this.compare();
  }

  draw() {
    const { data } = this;
    const { visits } = data;
    fill(this.element,
      h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: this.back }, "All rollouts"),
        h("span", { class: "quiet" }, "one problem through time")),
      h("div", { class: "problem sheet" },
        h("p", { class: "quiet small" }, `${data.prompt_id} · ${data.kind} · question in ${languageName(data.language)}`),
        h("h2", {}, data.question.trim()),
        h("p", { class: "small" }, "Reference ", h("code", {}, data.reference))),
      h("p", { class: "list-line num" }, visits.length === 1
        ? "It was answered once so far; it changes through time once it is met again."
        : `Answered ${visits.length} times, from ${whenText(visits[0])} to ${whenText(visits.at(-1))}`, data.complete ? "" : " (of what is indexed so far)"),
      visits.length > 1 ? timeline(visits) : null,
      h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Every time it was answered" }, this.table()),
      this.diff);
  }

  table() {
    const rows = this.data.visits.map((visit) => h("tr", {},
      h("th", { scope: "row" }, h("a", { href: this.link(visit) }, whenText(visit))),
      h("td", {}, dots(visit.samples)),
      h("td", { class: "num" }, share(rightShare(visit), 0)),
      h("td", { class: "num" }, number(mean(visit.samples.map((sample) => sample.reward)))),
      h("td", { class: "num" }, number(mean(visit.samples.map((sample) => sample.tokens)))),
      h("td", {}, this.picker(visit, "old", "Before")), h("td", {}, this.picker(visit, "new", "After"))));
    return h("table", { class: "data" },
      h("thead", {}, h("tr", {}, ["When", "Answers", "Right", "Mean reward", "Mean tokens", "Compare", "with"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows));
  }

  picker(visit, side, name) {
    const chosen = this[side];
    return h("select", { "aria-label": `${name}: a sample of ${whenText(visit)}`, dataset: { side }, onchange: (event) => {
      this[side] = event.target.value;
      for (const other of this.element.querySelectorAll(`select[data-side="${side}"]`)) if (other !== event.target) other.value = "";
      this.compare();
    } }, h("option", { value: "", selected: true }, "–"), visit.samples.map((sample) => {
      const value = keyOf(visit, sample);
      return h("option", { value, selected: value === chosen }, `#${sample.sample} ${sample.correct === true ? "right" : sample.correct === false ? "wrong" : "not graded"}`);
    }));
  }

  async compare() {
    if (!this.old || !this.new) return;
    const asked = [this.old, this.new];
    try {
      const found = await this.context.api(apiPath([...this.base, "change"], { old: this.old, new: this.new, of: this.of }));
      if (asked[0] !== this.old || asked[1] !== this.new) return;
      fill(this.diff, changeView(found));
    } catch (failure) {
      if (failure.name !== "AbortError") this.context.fail(failure);
    }
  }
}

function changeView(found) {
  const side = (card, name, kind) => h("article", { class: "roll" },
    h("header", {}, h("h3", {}, `${name}: ${whenText(card)}, #${card.sample}`), verdict(card.correct), h("span", { class: "num" }, `reward ${number(card.reward)}`), h("span", { class: "num" }, `${card.tokens} tokens`)),
    completion(kind));
  return [
    h("h2", {}, "What changed"),
    h("p", { class: "quiet small" }, `${share(found.likeness, 0)} of the text is the same. `, h("del", {}, "Struck out"), " stood only in the earlier answer, ", h("ins", {}, "underlined"), " only in the later one."),
    h("div", { class: "diff sheet" }, found.edits.map((edit) =>
      edit.change === "same" ? document.createTextNode(edit.text) : h(edit.change === "removed" ? "del" : "ins", {}, edit.text))),
    marksLegend(),
    h("div", { class: "sides" }, side(found.old, "Before", found.old.pieces), side(found.new, "After", found.new.pieces)),
  ];
}

/** The share of right answers at each visit, as a line over the steps. */
function timeline(visits) {
  const steps = visits.map((visit) => visit.step);
  const first = Math.min(...steps), last = Math.max(...steps, first + 1);
  const x = (visit) => 36 + ((WIDTH - 48) * (visit.step - first)) / (last - first);
  const y = (visit) => 10 + (HEIGHT - 34) * (1 - (rightShare(visit) ?? 0));
  return h("figure", { class: "timeline sheet" },
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Share of right answers at ${visits.length} visits: ${visits.map((v) => share(rightShare(v), 0)).join(", ")}` },
      [0, 0.5, 1].map((level) => [
        s("line", { x1: 36, x2: WIDTH - 12, y1: 10 + (HEIGHT - 34) * (1 - level), y2: 10 + (HEIGHT - 34) * (1 - level), class: "grid" }),
        s("text", { x: 30, y: 14 + (HEIGHT - 34) * (1 - level), "text-anchor": "end" }, share(level, 0))]),
      s("polyline", { points: visits.map((visit) => `${x(visit)},${y(visit)}`).join(" "), class: "curve" }),
      visits.map((visit) => s("circle", { cx: x(visit), cy: y(visit), r: 4.5 }, s("title", {}, `${whenText(visit)}: ${share(rightShare(visit), 0)} right`))),
      s("text", { x: 36, y: HEIGHT - 6 }, whenText(visits[0])), s("text", { x: WIDTH - 12, y: HEIGHT - 6, "text-anchor": "end" }, whenText(visits.at(-1)))),
    h("figcaption", { class: "quiet small" }, "Share of right answers each time it was met"));
}

function rightShare(visit) {
  return mean(visit.samples.map((sample) => (sample.correct === null ? null : Number(sample.correct))));
}

/** The sample that stands for a group: one with the verdict of most, of middle length. */
function typical(visit) {
  const right = (rightShare(visit) ?? 0) >= 0.5;
  const same = visit.samples.filter((sample) => sample.correct === right);
  const sorted = (same.length ? same : visit.samples).toSorted((a, b) => a.tokens - b.tokens);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

function keyOf(visit, sample) {
  return `${visit.label || visit.rollout}:${sample.row}`;
}
