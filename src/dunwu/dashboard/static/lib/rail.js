// The chain of stages beside their rows: a node for each, lines from what a stage reads to the stage.
//
// What is read from the row above is a line down; what is read from further up comes along a lane of its own to the left, one lane
// for each stage that reads so.

import { s } from "./dom.js";

const LANE = 13, NODE = 6, TURN = 9;

/** Give each stage that reads from further up than the row above a lane; lanes that do not overlap are the same. */
export function lanes(stages) {
  const at = new Map(stages.map((stage, i) => [stage.name, i]));
  const spans = stages.map((stage, to) => {
    const far = stage.reads.map((name) => at.get(name)).filter((from) => from !== undefined && from < to - 1);
    return far.length ? { to, far, from: Math.min(...far) } : null;
  }).filter(Boolean).sort((a, b) => (a.to - a.from) - (b.to - b.from));
  const taken = [];
  for (const span of spans) {
    span.lane = 0;
    while (taken.some((other) => other.lane === span.lane && span.from < other.to && other.from < span.to)) span.lane += 1;
    taken.push(span);
  }
  return taken;
}

/** How wide the rail of these stages is. */
export function railWidth(stages) {
  const count = Math.max(0, ...lanes(stages).map((span) => span.lane + 1));
  return NODE * 2 + 4 + LANE * count + 4;
}

/** Draw the rail; `middles` are the heights of the rows' middles, `chosen` the stage whose lines are brought out. */
export function drawRail(svg, stages, middles, height, chosen) {
  const width = railWidth(stages), x = width - NODE - 3;
  const index = new Map(stages.map((stage, i) => [stage.name, i]));
  const touches = (from, to) => chosen !== null && (stages[from].name === chosen || stages[to].name === chosen);
  const edges = [];
  stages.forEach((stage, to) => {
    if (to > 0 && stage.reads.includes(stages[to - 1].name)) {
      edges.push({ from: to - 1, to, d: `M${x} ${middles[to - 1]}V${middles[to]}` });
    }
  });
  for (const span of lanes(stages)) {
    const left = x - LANE * (span.lane + 1);
    for (const from of span.far) {
      const top = middles[from], bottom = middles[span.to];
      edges.push({ from, to: span.to, d: `M${x} ${top}H${left + TURN}Q${left} ${top} ${left} ${top + TURN}V${bottom - TURN}Q${left} ${bottom} ${left + TURN} ${bottom}H${x}` });
    }
  }
  edges.sort((a, b) => Number(touches(a.from, a.to)) - Number(touches(b.from, b.to)));
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.replaceChildren(
    ...edges.map((edge) => s("path", { d: edge.d, class: `edge${chosen === null ? "" : touches(edge.from, edge.to) ? " on" : " off"}` })),
    ...stages.map((stage, i) => s("circle", { cx: x, cy: middles[i], r: NODE, class: `node node-${stage.state}${chosen !== null && stage.name === chosen ? " on" : ""}` })));
  return index;
}
