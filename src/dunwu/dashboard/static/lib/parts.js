// Small parts that several pages use.

import { h } from "./dom.js";

const STATES = {
  waiting: "waiting", running: "running", stopped: "stopped", failed: "failed", finished: "finished", damaged: "damaged", empty: "empty",
};

/** A state as a dot and a word. */
export function stateMark(state) {
  return h("span", { class: `state state-${state in STATES ? state : "waiting"}` }, h("i", { "aria-hidden": "true" }), STATES[state] ?? state);
}

/** Something went wrong: a sentence, and what can be done. */
export function failureBox(message, ...more) {
  return h("section", { class: "failure", role: "alert" }, h("h1", {}, "This cannot be shown"), h("p", {}, message), more);
}

/** What is damaged in a run; the rest of the page shows what is whole. */
export function faultList(faults) {
  if (!faults?.length) return null;
  return h("section", { class: "faults", "aria-label": "What is damaged" },
    h("h2", {}, faults.length === 1 ? "One file cannot be read" : `${faults.length} things cannot be read`),
    h("ul", {}, faults.map((fault) => h("li", {}, fault))));
}

/** Nothing is there yet: why, and what will bring it. */
export function emptyBox(title, ...text) {
  return h("section", { class: "empty" }, h("h2", {}, title), text.map((part) => (part instanceof Node ? part : h("p", {}, part))));
}

/** One of several, as buttons side by side: choice("Smoothing", [["0", "none"], ...], "0", onChoose). */
export function choice(label, options, chosen, onChoose) {
  const group = h("div", { class: "choice", role: "group", "aria-label": label });
  const buttons = options.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === chosen),
    onclick: () => {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(options[i][0] === value)));
      onChoose(value);
    },
  }, text));
  group.append(...buttons);
  return group;
}

/** The stages of a run to choose from, as a labelled select; `accept(stage)` says which. */
export function stageSelect(run, chosen, accept, onChoose) {
  const stages = run.stages.filter(accept);
  return h("label", { class: "field" }, h("span", {}, "Stage"),
    h("select", { onchange: (event) => onChoose(event.target.value) }, stages.map((stage) =>
      h("option", { value: stage.name, selected: stage.name === chosen }, stage.name))));
}
