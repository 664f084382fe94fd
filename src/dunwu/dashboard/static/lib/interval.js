// A figure with its interval on a line from `low` to `high`.

import { s } from "./dom.js";

/** Draw {value, low, high}; `zero` marks where 0 lies. Its text stands beside it, so it is hidden from readers of text. */
export function intervalBar(cell, low, high, zero = false) {
  const x = (v) => (2 + 96 * Math.min(1, Math.max(0, (v - low) / (high - low || 1)))).toFixed(2);
  const known = typeof cell.low === "number";
  return s("svg", { class: "interval-bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("line", { class: "track", x1: 2, x2: 98, y1: 4, y2: 4 }),
    zero ? s("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: 8 }) : s("line", { class: "reach", x1: x(low), x2: x(cell.value), y1: 4, y2: 4 }),
    known ? s("line", { class: "range", x1: x(cell.low), x2: x(cell.high), y1: 4, y2: 4 }) : null,
    s("line", { class: "value", x1: x(cell.value), x2: x(cell.value), y1: 0.5, y2: 7.5 }));
}
