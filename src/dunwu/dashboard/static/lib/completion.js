// A completion as it was written: thinking, answer and summary told apart, and what was found in it marked. Text only, never markup.

import { h } from "./dom.js";

const PARTS = { thinking: "Thinking", answer: "Answer", summary: "Summary" };
const SCRIPTS = {
  han: "Chinese characters", kana: "Japanese", hangul: "Korean", cyrillic: "Cyrillic", greek: "Greek", arabic: "Arabic",
  hebrew: "Hebrew", thai: "Thai", devanagari: "Devanagari", latin: "Latin letters",
};
const TURNS = { wrong: "went wrong here", turn: "turned round here", right: "came out right here" };

/** Build a completion from its pieces; `more`: it is cut, and this many characters follow. */
export function completion(pieces, more = 0) {
  const blocks = [];
  let block = null;
  const open = (part) => {
    if (!block || block.part !== part) {
      block = { part, nodes: [], visible: false };
      blocks.push(block);
    }
  };
  for (const piece of pieces) {
    if (piece.part === "tag") {
      if (!piece.text.startsWith("</") && !block?.nodes.length) block = null;
      if (!block || !piece.text.startsWith("</")) { block = { part: "tagged", nodes: [], visible: true }; blocks.push(block); }
      block.nodes.push(h("code", { class: "tag" }, piece.text));
      continue;
    }
    if (block?.part === "tagged") block.part = piece.part;
    open(piece.part);
    block.nodes.push(marked(piece));
    block.visible ||= piece.text.trim() !== "";
  }
  return h("div", { class: "completion" },
    blocks.filter((b) => b.visible).map((b) => h("div", { class: `part part-${b.part}` },
      b.part in PARTS ? h("span", { class: "part-name" }, PARTS[b.part]) : null,
      h("div", { class: "part-text" }, b.nodes))),
    more > 0 ? h("p", { class: "quiet small" }, `… ${more.toLocaleString("en")} more characters`) : null);
}

/** One piece with its marks. */
function marked(piece) {
  const notes = [], classes = [];
  if (piece.turn) { classes.push(`turn-${piece.turn}`); notes.push(TURNS[piece.turn]); }
  if (piece.word) { classes.push("m-reflect"); notes.push(`reflection word: ${piece.word}`); }
  if (piece.language) { classes.push("m-switch"); notes.push(`another language: ${SCRIPTS[piece.language] ?? piece.language}`); }
  return classes.length ? h("mark", { class: classes.join(" "), title: notes.join("; ") }, piece.text) : document.createTextNode(piece.text);
}

/** What the marks mean. */
export function marksLegend() {
  return h("p", { class: "marks-legend", "aria-label": "What the marks mean" },
    h("span", {}, h("mark", { class: "m-reflect" }, "wait"), " reflection word"),
    h("span", {}, h("mark", { class: "m-switch" }, "语言"), " another language than the question's"),
    h("span", {}, h("mark", { class: "turn-wrong" }, "7+8=16"), " went wrong"),
    h("span", {}, h("mark", { class: "turn-right" }, "7+8=15"), " was corrected"));
}
