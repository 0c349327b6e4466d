/** Figures as people read them, each with its unit. */

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
];

/** What is shown where there is no figure. */
export const NONE = "–";

/** Seconds in the largest unit that fits: `0.4 s`, `12 s`, `3 min`. */
export function duration(seconds) {
  for (const [size, unit] of UNITS) {
    if (seconds >= size) {
      return `${Math.floor(seconds / size)} ${unit}`;
    }
  }
  return seconds < 10 ? `${Math.max(seconds, 0).toFixed(1)} s` : `${Math.floor(seconds)} s`;
}

/** A run time in seconds, down to a millisecond. */
export function runtime(seconds) {
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(2))} ms` : `${seconds.toPrecision(2)} s`;
}

/** A whole number with its thousands apart. */
export function count(number) {
  return number.toLocaleString("en");
}

/** A share of a hundred. */
export function percent(number) {
  return `${Math.round(number)} %`;
}

/** Tasks a second; `–` where nothing was measured. */
export function rate(number) {
  if (number === null || number === undefined) {
    return NONE;
  }
  return `${number < 10 ? Number(number.toFixed(1)) : Math.round(number)}/s`;
}

/** A moment, given in seconds since 1970, in the reader's time zone. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** One of something, several of it. */
export function several(number, thing) {
  return `${count(number)} ${thing}${number === 1 ? "" : "s"}`;
}
