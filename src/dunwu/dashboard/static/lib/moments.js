// The first aha moments: what was wrong, what turned it, what came out right, and what speaks for and against it.

import { h } from "./dom.js";
import { number, share } from "./format.js";

const NAMES = {
  recomputed: ["Corrected its calculation", "The same calculation stands there twice; the first result is wrong and the second right, by arithmetic."],
  restated: ["Changed its answer", "It stated one answer, reflected, and gave another, which is right."],
  rejected: ["Rejected an attempt", "It called an attempt wrong, tried on, and ended right."],
};
const TITLES = { wrong: "went wrong here", turn: "turned round here", right: "came out right here" };

/** All moments by kind; `link(moment)` leads to its group. */
export function momentsView(moments, link) {
  return Object.entries(NAMES).map(([kind, [name, tells]]) => {
    const found = moments.filter((moment) => moment.kind === kind);
    return found.length ? h("section", { class: "moments" },
      h("div", { class: "section-head" }, h("h3", {}, `${name} `, h("span", { class: "quiet num" }, `${found[0].evidence.times.toLocaleString("en")} times in all`)), h("p", { class: "quiet small" }, tells)),
      h("ol", { class: "moment-list" }, found.map((moment) => h("li", {}, card(moment, link))))) : null;
  });
}

function card(moment, link) {
  return h("article", { class: "roll moment" },
    h("header", {}, h("a", { class: "roll-where", href: link(moment) }, `step ${moment.step.toLocaleString("en")}, group ${moment.group}, sample ${moment.sample}`),
      h("span", { class: "num" }, `${share(moment.evidence.group_right, 0)} of its group right`),
      h("span", { class: "num" }, `reward ${number(moment.reward)}`)),
    h("p", { class: "roll-question" }, moment.question.trim()),
    h("blockquote", { class: "quote" }, moment.pieces.map((piece) => piece.turn === "gap" ? h("span", { class: "quiet" }, piece.text)
      : piece.turn ? h("mark", { class: `turn-${piece.turn}`, title: TITLES[piece.turn] }, piece.text) : document.createTextNode(piece.text))),
    h("p", { class: "small" }, "Final answer ", h("code", {}, moment.answer ?? "none"), ", reference ", h("code", {}, moment.reference)),
    h("div", { class: "judge" },
      evidence("For it", "for", moment.for), evidence("Against it", "against", moment.against)));
}

function evidence(name, kind, sentences) {
  return h("div", { class: `judge-${kind}` }, h("h4", {}, name),
    sentences.length ? h("ul", {}, sentences.map((sentence) => h("li", {}, sentence))) : h("p", { class: "quiet small" }, "Nothing that a rule can see."));
}
