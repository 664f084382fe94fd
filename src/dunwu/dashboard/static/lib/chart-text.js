// How the figures of charts are written, by their unit.

import { bytes, duration, number, share } from "./format.js";

/** A value beside its curve. */
export function valueText(unit, value) {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return share(value);
  if (unit === "bytes") return bytes(value);
  if (unit === "seconds") return value < 60 ? `${number(value)} s` : duration(value);
  if (unit === "rate" || unit === "tokens") return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : number(value);
  return number(value);
}

/** A value on the axis, with the places that its neighbours need. */
export function axisText(unit, value, ticks) {
  if (unit === "share") {
    const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 0.1;
    return share(value, [0, 1, 2].find((places) => Math.abs(step * 100 * 10 ** places - Math.round(step * 100 * 10 ** places)) < 1e-6) ?? 2);
  }
  if (unit === "bytes") return bytes(value);
  if (Math.abs(value) >= 10_000) return `${number(value / 1000)}k`;
  return number(value);
}
