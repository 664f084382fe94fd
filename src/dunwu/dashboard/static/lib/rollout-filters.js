// The filters above a list of rollouts. What is chosen stands in the address.

import { fill, h } from "./dom.js";
import { choice } from "./parts.js";

/** The parameters of the address that filter and sort. */
export const FILTERS = ["step", "from", "to", "verdict", "language", "kind", "truncated", "word", "mixed", "correction", "dropped",
  "reward_from", "reward_to", "tokens_from", "tokens_to", "text", "sort", "order", "by", "of", "label"];

const SORTS = [["", "newest first"], ["step/up", "oldest first"], ["reward/down", "highest reward"], ["reward/up", "lowest reward"],
  ["advantage/down", "highest advantage"], ["advantage/up", "lowest advantage"], ["tokens/down", "longest"], ["tokens/up", "shortest"],
  ["reflections/down", "most reflection words"]];
const CORRECTIONS = { recomputed: "recomputed an error", restated: "changed a stated answer", rejected: "rejected an attempt" };

export class Filters {
  /** `params` of the address; `onChange(changes)` takes {name: value | null}. */
  constructor(params, onChange) {
    this.params = params;
    this.onChange = onChange;
    this.element = h("div", { class: "filters" });
    this.shape = null;
  }

  get(name) {
    return this.params.get(name) ?? "";
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") this.params.delete(name);
      else this.params.set(name, value);
    }
    this.onChange(changes);
    this.drawCount();
  }

  /** Draw for what there is: stages, and the facts of the chosen one; drawn anew only if those changed. */
  draw(stages, stage, facts) {
    this.drawn = [stages, stage, facts];
    const shape = JSON.stringify([stages, stage, facts?.kinds, facts?.languages, facts?.labels, this.get("of")]);
    if (shape === this.shape) return this.bound(facts);
    this.shape = shape;
    const evaluations = stages.find((s) => s.name === stage)?.evaluations ?? [];
    const what = this.get("of") === "evaluation" ? `evaluation/${this.get("label")}` : "";
    this.count = h("span", { class: "filter-count" });
    this.steps = h("input", { type: "number", min: "0", class: "step-input", placeholder: "all", value: this.get("step") === "latest" ? "" : this.get("step"),
      onchange: (event) => this.set({ step: event.target.value, from: null, to: null }) });
    this.latest = h("button", { type: "button", "aria-pressed": String(this.get("step") === "latest"),
      onclick: () => { this.steps.value = ""; this.set({ step: this.get("step") === "latest" ? null : "latest", from: null, to: null }); this.press(); } }, "latest");
    const move = (by) => {
      const now = this.get("step") === "latest" || !this.get("step") ? this.last ?? 1 : Number(this.get("step"));
      const next = Math.max(this.first ?? 0, Math.min(this.last ?? now, now + by));
      this.steps.value = String(next);
      this.set({ step: String(next), from: null, to: null });
      this.press();
    };
    fill(this.element,
      h("div", { class: "tools filter-row" },
        select("Stage", stages.map((s) => [s.name, s.name]), stage, (value) => this.set({ stage: value, label: null, of: null, step: null })),
        select("From", [["", "training"], ...evaluations.map((label) => [`evaluation/${label}`, `evaluation ${label}`])], what, (value) => {
          const [of, label] = value.split(/\/(.*)/);
          this.set({ of: of || null, label: label ?? null, step: null, from: null, to: null });
        }),
        this.get("of") ? null : h("div", { class: "field" }, h("span", { id: "step-name" }, "Step"), h("div", { class: "steps" },
          h("button", { type: "button", "aria-label": "Step before", onclick: () => move(-1) }, "‹"),
          this.steps, h("button", { type: "button", "aria-label": "Next step", onclick: () => move(1) }, "›"), this.latest)),
        field("View", choice("View", [["", "rollouts"], ["group", "groups"]], this.get("by"), (value) => this.set({ by: value }))),
        select("Sort", SORTS, [this.get("sort"), this.get("order")].filter(Boolean).join("/"), (value) => {
          const [sort, order] = value.split("/");
          this.set({ sort: sort ?? null, order: order ?? null });
        }),
        h("label", { class: "field search" }, h("span", {}, "Search"), this.search())),
      h("details", { class: "more-filters", open: this.active() > 0 || matchMedia("(min-width: 64rem)").matches },
        h("summary", {}, "Filters", this.count),
        h("div", { class: "tools filter-row" },
          field("Answer", choice("Answer", [["", "all"], ["right", "right"], ["wrong", "wrong"], ["ungraded", "not graded"]], this.get("verdict"), (value) => this.set({ verdict: value }))),
          this.options("language", "Question's language", facts?.languages ?? []),
          this.options("kind", "Kind", facts?.kinds ?? []),
          this.options("truncated", "Cut off", [["yes", "cut at the limit"], ["no", "ended by itself"]]),
          this.options("word", "Reflection word", [["any", "any"], ...(facts?.words ?? []).map((word) => [word, word])]),
          this.options("mixed", "Languages", [["yes", "mixed"], ["no", "one"]]),
          this.options("correction", "Self-correction", [["any", "any that ended right"], ...(facts?.corrections ?? []).map((kind) => [kind, CORRECTIONS[kind] ?? kind])]),
          this.options("dropped", "Group", [["no", "trained on"], ["yes", "replaced, no spread"]]),
          this.range("reward", "Reward", "any"), this.range("tokens", "Tokens", "1"),
          h("button", { type: "button", class: "clear", onclick: () => this.clear() }, "Clear"))));
    this.steps.setAttribute("aria-labelledby", "step-name");
    this.bound(facts);
    this.drawCount();
    return undefined;
  }

  bound(facts) {
    this.first = facts?.first_step ?? null;
    this.last = facts?.last_step ?? null;
    if (this.steps && this.last !== null) this.steps.setAttribute("max", this.last);
  }

  press() {
    this.latest.setAttribute("aria-pressed", String(this.get("step") === "latest"));
  }

  search() {
    let timer = null;
    return h("input", { type: "search", placeholder: "text, question, problem", value: this.get("text"), oninput: (event) => {
      clearTimeout(timer);
      timer = setTimeout(() => this.set({ text: event.target.value.trim() }), 300);
    } });
  }

  options(name, label, values) {
    const pairs = values.map((value) => (Array.isArray(value) ? value : [value, value]));
    return select(label, [["", "any"], ...pairs], this.get(name), (value) => this.set({ [name]: value }));
  }

  range(name, label, step) {
    const input = (end) => h("input", { type: "number", step, "aria-label": `${label} ${end === "from" ? "at least" : "at most"}`, placeholder: end === "from" ? "min" : "max",
      value: this.get(`${name}_${end}`), onchange: (event) => this.set({ [`${name}_${end}`]: event.target.value }) });
    return field(label, h("div", { class: "pair" }, input("from"), h("span", { "aria-hidden": "true" }, "–"), input("to")));
  }

  active() {
    return ["verdict", "language", "kind", "truncated", "word", "mixed", "correction", "dropped", "reward_from", "reward_to", "tokens_from", "tokens_to"]
      .filter((name) => this.get(name)).length;
  }

  drawCount() {
    const active = this.active();
    if (this.count) this.count.textContent = active ? ` (${active})` : "";
  }

  /** Drawn anew at once, not with the list that comes later, which would take away what was typed meanwhile. */
  clear() {
    this.set(Object.fromEntries(FILTERS.filter((name) => !["of", "label", "by"].includes(name)).map((name) => [name, null])));
    this.shape = null;
    this.draw(...this.drawn);
  }
}

function field(name, control) {
  return h("div", { class: "field" }, h("span", {}, name), control);
}

function select(name, options, chosen, onChoose) {
  return h("label", { class: "field" }, h("span", {}, name),
    h("select", { onchange: (event) => onChoose(event.target.value) },
      options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}
