/** Lines over time, as SVG. A null among the values is a gap: nothing was seen then. */

import { element, setAttribute, setText, svg } from "./dom.js";

/** The drawing's own units; the style sheet stretches it to its place. */
const WIDTH = 300;
const HEIGHT = 60;
/** Values of a small line: five minutes, at one each ten seconds. */
const RECENT = 30;
/** Below a chart, which shows all values. */
const TIMES = ["15 min ago", "10", "5", "now"];

/** A widget: one small line of late. `pick` gives its values, `describe` the words for who cannot see it. */
export function sparkline(pick, describe, top = 0) {
  const line = stroke(0);
  const drawing = canvas("sy-sparkline", line);
  drawing.setAttribute("role", "img");
  const update = (item) => {
    const values = pick(item).slice(-RECENT);
    setAttribute(line, "d", path(values, top || highest([values])));
    setAttribute(drawing, "aria-label", describe(item));
  };
  return { element: drawing, update };
}

/**
 * A widget: lines over the same time, and a legend that says where each stands now.
 *
 * `series` are `{label, pick, now, show}`: a name, an item's values over time, the one of now, and how a
 * value reads. The scale ends at `top`, or at the highest value.
 */
export function chart(title, series, top = 0) {
  const lines = series.map((_, index) => stroke(index));
  const figures = series.map(() => element("strong"));
  const legend = series.map(({ label }, index) => entry(label, figures[index], index));
  const scale = element("span", { class: "sy-chart-top" });
  const drawing = canvas("sy-chart-drawing", ...grid(), ...lines);
  const plot = element("div", { class: "sy-chart-plot", "aria-hidden": "true" }, scale, drawing, times());
  const heading = element("span", { class: "sy-chart-title" }, title);
  const shown = element("figure", { class: "sy-chart" }, element("figcaption", {}, heading, ...legend), plot);
  const update = (item) => {
    const values = series.map(({ pick }) => pick(item));
    const most = top || highest(values);
    setText(scale, series[0].show(most));
    series.forEach(({ now, show }, index) => {
      setAttribute(lines[index], "d", path(values[index], most));
      setText(figures[index], show(now(item)));
    });
  };
  return { element: shown, update };
}

function canvas(className, ...children) {
  const box = { class: className, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return svg("svg", box, ...children);
}

function stroke(index, d = "") {
  return svg("path", { class: `sy-line sy-line-${index + 1}`, d });
}

function grid() {
  return [0, 0.5, 1].map((share) => svg("path", { class: "sy-grid", d: `M0 ${height(share)}H${WIDTH}` }));
}

function entry(label, figure, index) {
  const sample = canvas("sy-legend-line", stroke(index, `M0 ${HEIGHT / 2}H${WIDTH}`));
  sample.setAttribute("aria-hidden", "true");
  return element("span", { class: "sy-legend" }, sample, `${label} `, figure);
}

function times() {
  return element("div", { class: "sy-chart-times" }, ...TIMES.map((time) => element("span", {}, time)));
}

/** A little inside the drawing's edges, so that none of a line's width is cut off. */
function height(share) {
  return HEIGHT - 1 - share * (HEIGHT - 2);
}

/** The highest value, at least 1: an idle line lies at the bottom. */
function highest(lines) {
  return lines.flat().reduce((most, value) => Math.max(most, value ?? 0), 1);
}

function path(values, top) {
  const step = WIDTH / Math.max(values.length - 1, 1);
  let drawn = "";
  let pen = "M";
  for (const [index, value] of values.entries()) {
    if (value !== null) {
      drawn += `${pen}${(index * step).toFixed(1)} ${height(Math.min(value / top, 1)).toFixed(1)}`;
    }
    pen = value === null ? "M" : "L";
  }
  return drawn;
}
