// Parts of rollouts that the list, the group and the history share.

import { h } from "./dom.js";
import { number } from "./format.js";

/** Right, wrong or not graded, as a word with its colour. */
export function verdict(correct) {
  const [name, text] = correct === true ? ["right", "right"] : correct === false ? ["wrong", "wrong"] : ["none", "not graded"];
  return h("span", { class: `grade grade-${name}` }, text);
}

/** A signed number: +0.67. */
export function signed(value) {
  return value === null || value === undefined ? "none" : (value > 0 ? "+" : "") + number(value);
}

/** An advantage as a bar that leaves the middle to the right if it is positive. */
export function advantageBar(value, largest) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "none");
  const width = largest > 0 ? 50 * Math.min(1, Math.abs(value) / largest) : 0;
  return h("span", { class: "advantage" },
    h("span", { class: "advantage-track", "aria-hidden": "true" },
      h("i", { class: value < 0 ? "down" : "up", style: { width: `${width}%` } })),
    h("span", { class: "num" }, signed(value)));
}

/** A group's samples as dots: right, wrong, not graded; a ring where the length limit cut it. */
export function dots(samples) {
  const right = samples.filter((sample) => sample.correct === true).length;
  return h("span", { class: "dots", role: "img", "aria-label": `${right} of ${samples.length} right` },
    samples.map((sample) => h("i", {
      class: `dot-${sample.correct === true ? "right" : sample.correct === false ? "wrong" : "none"}${sample.truncated ? " cut" : ""}`,
      title: `sample ${sample.sample}: reward ${number(sample.reward)}, advantage ${signed(sample.advantage)}, ${sample.tokens} tokens`,
    })));
}

/** "step 12", or the evaluation's label. */
export function whenText(item) {
  return item.label ? `evaluation ${item.label}` : `step ${item.step.toLocaleString("en")}`;
}

/** The mean of what is known; null if nothing is. */
export function mean(values) {
  const known = values.filter((value) => typeof value === "number");
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

const NAMES = new Intl.DisplayNames(["en"], { type: "language" });

/** The name of a language's code: Chinese. */
export function languageName(code) {
  try {
    return NAMES.of(code);
  } catch {
    return code;
  }
}
