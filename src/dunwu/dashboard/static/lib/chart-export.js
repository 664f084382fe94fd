// A chart as a file of figures, and as a picture.

import { csv } from "./download.js";

/** The figures behind a chart, raw: a row for each step, and one for each held-out evaluation. */
export function chartCsv(chart) {
  const lines = chart.series.filter((s) => !s.held);
  const held = chart.series.filter((s) => s.held);
  const rows = new Map();
  const row = (step) => rows.get(step) ?? rows.set(step, { step }).get(step);
  chart.steps.forEach((step, i) => {
    for (const s of lines) row(step)[s.key] = chart.columns[s.key]?.[i];
  });
  for (const record of chart.evaluations) {
    for (const s of held) {
      if (typeof record[s.key] !== "number") continue;
      const interval = record[`${s.key}_interval`] ?? [];
      Object.assign(row(record.step), { [`held_out_${s.key}`]: record[s.key], [`held_out_${s.key}_low`]: interval[0], [`held_out_${s.key}_high`]: interval[1] });
    }
  }
  const sorted = [...rows.values()].sort((a, b) => a.step - b.step);
  const names = ["step", ...lines.map((s) => s.key), ...held.flatMap((s) => [`held_out_${s.key}`, `held_out_${s.key}_low`, `held_out_${s.key}_high`])];
  return csv(names, names.map((name) => sorted.map((r) => r[name])));
}

/** The chart with its title and legend, in the colours of the page, as a PNG blob at twice its size or finer. */
export async function chartPicture(chart) {
  const source = chart.uplot.ctx.canvas;
  const ratio = source.width / chart.uplot.width;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const picture = document.createElement("canvas");
  const head = 58, side = 14;
  picture.width = source.width + 2 * side * ratio;
  picture.height = source.height + (head + side) * ratio;
  const ctx = picture.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.fillStyle = css("--sheet");
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.fillStyle = css("--ink");
  ctx.font = `560 15px ${css("--serif")}`;
  ctx.fillText(chart.spec.title, side, 24);
  ctx.font = `11px ${css("--sans")}`;
  ctx.fillStyle = css("--ink-3");
  ctx.textAlign = "right";
  ctx.fillText(chart.tag, chart.uplot.width + side, 24);
  ctx.textAlign = "left";
  let x = side;
  for (const series of chart.series.filter((s) => s.shown)) {
    ctx.fillStyle = css(series.color);
    ctx.fillRect(x, 40, 14, 3);
    ctx.fillStyle = css("--ink-2");
    ctx.fillText(series.label, x + 19, 45);
    x += 19 + ctx.measureText(series.label).width + 18;
  }
  ctx.drawImage(source, side, head, chart.uplot.width, source.height / ratio);
  return new Promise((resolve) => picture.toBlob(resolve, "image/png"));
}
