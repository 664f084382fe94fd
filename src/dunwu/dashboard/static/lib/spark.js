// A small curve without axes.

import { s } from "./dom.js";

/** Draw values, lowest at the bottom. `label` says what it is to those who do not see it. */
export function sparkline(values, label, width = 120, height = 30) {
  const low = Math.min(...values), high = Math.max(...values);
  const span = high - low || 1;
  const x = (i) => 2 + (width - 4) * (i / Math.max(1, values.length - 1));
  const y = (v) => height - 3 - (height - 6) * ((v - low) / span);
  const points = values.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    s("path", { class: "under", d: `M${x(0).toFixed(1)} ${height}L${points.join("L")}L${x(values.length - 1).toFixed(1)} ${height}Z` }),
    s("path", { class: "curve", d: `M${points.join("L")}`, "vector-effect": "non-scaling-stroke" }));
}
