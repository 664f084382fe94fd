// Reflection words by word and step: one small curve for each word, all on steps, each on its own scale.

import { h, s } from "./dom.js";
import { number } from "./format.js";

const WIDTH = 260, HEIGHT = 34;

/** A table of words; `link(word, step)` leads to rollouts with the word. */
export function wordRows(title, words, curves, link) {
  const onsets = new Map(curves.onsets.map((onset) => [onset.word, onset]));
  const used = words.filter((word) => onsets.has(word)).sort((a, b) => onsets.get(b).total - onsets.get(a).total);
  const unused = words.filter((word) => !onsets.has(word));
  return h("section", { class: "sheet words" },
    h("h3", {}, title),
    used.length ? h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": title },
      h("table", { class: "data word-table" },
        h("thead", {}, h("tr", {}, ["Word", "Over the steps", "Start", "End", "Growth", "Rises at"].map((name, i) => h("th", { scope: "col", class: i > 1 ? "r" : null }, name)))),
        h("tbody", {}, used.map((word) => row(word, onsets.get(word), curves, link))))) : h("p", { class: "quiet" }, "None of them occurs."),
    unused.length && used.length ? h("p", { class: "quiet small" }, "Never used: ", unused.join(", ")) : null);
}

function row(word, onset, curves, link) {
  return h("tr", {},
    h("th", { scope: "row" }, h("a", { href: link(word, null) }, word)),
    h("td", {}, spark(curves.words[word], curves.steps, onset)),
    h("td", { class: "r num" }, number(onset.start)), h("td", { class: "r num" }, number(onset.end)),
    h("td", { class: "r num" }, onset.growth === null ? (onset.end ? "from none" : "–") : `${number(onset.growth)}×`),
    h("td", { class: "r num" }, onset.step === null ? h("span", { class: "quiet" }, "no rise") : h("a", { href: link(word, onset.step) }, `step ${onset.step.toLocaleString("en")}`)));
}

function spark(values, steps, onset) {
  const top = Math.max(...values, 1e-9), first = steps[0][0], last = Math.max(steps.at(-1)[1], first + 1);
  const x = (step) => (WIDTH * (step - first)) / (last - first), y = (value) => HEIGHT - 2 - ((HEIGHT - 6) * value) / top;
  const points = values.map((value, i) => `${x((steps[i][0] + steps[i][1]) / 2).toFixed(1)},${y(value).toFixed(1)}`);
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "word-spark", preserveAspectRatio: "none", role: "img",
    "aria-label": `${onset.word}: at most ${number(top)} per 1,000 completions` },
    s("polygon", { class: "under", points: `${points[0].split(",")[0]},${HEIGHT} ${points.join(" ")} ${points.at(-1).split(",")[0]},${HEIGHT}` }),
    s("polyline", { class: "curve", points: points.join(" ") }),
    onset.step === null ? null : s("line", { class: "onset", x1: x(onset.step), x2: x(onset.step), y1: 0, y2: HEIGHT }));
}
