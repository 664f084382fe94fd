// How figures are written. null, undefined and NaN are a dash.

const DASH = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A number with enough digits to tell it from its neighbours: 0.0312, 12.4, 1,240. */
export function number(value, digits = 3) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(Math.max(0, digits - 1)).replace("e-", "e−").replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  const text = value.toFixed(Math.min(places, 6));
  return (text.includes(".") ? text.replace(/\.?0+$/, "") : text).replace("-", "−");
}

/** A share as a percentage: 94.0%. */
export function share(value, places = 1) {
  return known(value) ? `${(100 * value).toFixed(places).replace("-", "−")}%` : DASH;
}

/** A time span in its two largest units: 42 s, 3 min 05 s, 2 h 07 min, 3 d 4 h. */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** A number of bytes, in powers of ten. */
export function bytes(value) {
  if (!known(value)) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0, size = value;
  while (size >= 1000 && power < units.length - 1) { size /= 1000; power += 1; }
  return `${size.toFixed(power === 0 || size >= 100 ? 0 : 1)} ${units[power]}`;
}

/** A point of time in the reader's own zone: 24 Nov 2026, 18:19. */
export function when(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return DASH;
  return date.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** How long ago: 12 s ago, 3 min ago. */
export function ago(iso) {
  const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
  if (!known(seconds)) return DASH;
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}
