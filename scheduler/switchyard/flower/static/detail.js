/** Names and values of one thing, as a list. */

import { element } from "./dom.js";

/** Fills a list with a line per entry of `lines`: a name, and the widget that shows the value. */
export function details(list, lines) {
  for (const [name, widget] of lines) {
    const value = element("dd", {}, widget.element);
    list.append(element("div", { class: "detail-row" }, element("dt", {}, name), value));
  }
  return (item) => lines.forEach(([, widget]) => widget.update(item));
}
