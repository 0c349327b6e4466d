/** What happened to nodes and their tasks, as lines of a list. */

import { age } from "./ages.js";
import { element, Keyed } from "./dom.js";
import { moment, several } from "./format.js";
import { link } from "./node_widgets.js";

const GOOD = "text-bg-success";
const CARE = "text-bg-warning";
const BAD = "text-bg-danger";
const PLAIN = "text-bg-secondary";

/** Kind -> its colour, and what to say of it. */
const KINDS = {
  up: [GOOD, () => "joined the cluster"],
  left: [PLAIN, () => "left the cluster"],
  lost: [BAD, (event) => `missed its lease, holding ${several(event.count, "task")}`],
  fenced: [CARE, (event) => `came back too late, with ${several(event.count, "possible duplicate")}`],
  drained: [CARE, (event) => `drains; ${several(event.count, "task")} of its inbox went back`],
  resumed: [GOOD, () => "takes tasks again"],
  restored: [GOOD, (event) => `is gone; ${several(event.count, "task")} of it went back`],
  "given up": [BAD, (event) => `held ${several(event.count, "task")}, now among the dead`],
};

/** A list of events in the element, the latest first. */
export function events(list) {
  return new Keyed(list, (event) => event.id, line);
}

function line(event) {
  const [colour, describe] = KINDS[event.kind] ?? [PLAIN, () => several(event.count, "task")];
  const ago = age((latest) => latest.age);
  const node = link((latest) => latest.node);
  const when = element("time", { datetime: new Date(event.at * 1000).toISOString() }, moment(event.at));
  const shown = element(
    "li",
    { class: "sy-event" },
    element("span", { class: `badge sy-badge ${colour}` }, event.kind),
    element("span", {}, "Node ", node.element, ` ${describe(event)}`),
    when,
    element("span", { class: "sy-ago" }, ago.element, " ago"),
  );
  node.update(event);
  return { element: shown, update: ago.update };
}
