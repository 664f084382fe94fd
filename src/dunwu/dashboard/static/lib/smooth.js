// Smoothing of a curve, and what is needed to look into it.

/** An exponential moving average that starts unbiased; `weight` from 0 (as it is) to below 1. Missing values stay missing. */
export function smooth(values, weight) {
  if (!(weight > 0)) return values;
  let sum = 0, norm = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}

/** The index of the entry of a sorted list that is nearest to `x`; -1 if the list is empty. */
export function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  if (high < 0) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle; else high = middle;
  }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
}

/** The least and the greatest of the values at the places from `from` to `to`, over several lists; null if there is none. */
export function extent(lists, from, to) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) {
    for (let i = from; i <= to; i++) {
      const value = list[i];
      if (value === null || value === undefined) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}
