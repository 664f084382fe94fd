// The few figures of a stage, as they stand in rows.

import { h } from "./dom.js";
import { number, share } from "./format.js";

/** One figure: its name, what it was before, what it is, and its interval. */
export function headline(figure) {
  const text = (value) => figureText(figure.unit, value);
  const moved = figure.before !== null && figure.before !== undefined;
  return h("div", { class: "figure" },
    h("span", { class: "figure-name" }, figure.label),
    h("span", { class: "figure-value num" },
      moved ? [h("span", { class: "was" }, text(figure.before)), h("span", { class: "arrow", "aria-label": "to" }, "→")] : null,
      h("strong", {}, text(figure.value))),
    typeof figure.low === "number" ? h("span", { class: "interval num", title: "95% confidence interval" }, `${text(figure.low)} to ${text(figure.high)}`) : null);
}

/** A figure's value. */
export function figureText(unit, value) {
  if (unit === "share") return share(value);
  if (unit === "count") return typeof value === "number" ? value.toLocaleString("en") : "–";
  return number(value);
}
