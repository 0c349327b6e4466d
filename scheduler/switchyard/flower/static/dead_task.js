/** One task that was given up on, whole. */

import { age } from "./ages.js";
import { buttons } from "./dead_widgets.js";
import { details } from "./detail.js";
import { element, setText, text } from "./dom.js";
import { count, NONE } from "./format.js";
import { api, mayAct, once, settings } from "./live.js";
import { chips } from "./node_widgets.js";

const at = (id) => document.getElementById(id);
const about = details(at("about"), [
  ["Task", text((task) => task.task ?? NONE)],
  ["Id", text((task) => task.id ?? NONE)],
  ["Queue", text((task) => task.queue)],
  ["Reason", text((task) => task.reason)],
  ["Given up", age((task) => task.age)],
  ["Deaths", text((task) => count(task.deaths))],
  ["Nodes", chips((task) => task.nodes)],
  ["Arguments", text((task) => task.args ?? NONE)],
  ["Keyword arguments", text((task) => task.kwargs ?? NONE)],
  ["Message", code((task) => pretty(task.message))],
]);
const actions = buttons(() => show(null));

function code(pick) {
  const shown = element("pre", { class: "detail-code", role: "region", tabindex: "0", "aria-label": "Message" });
  return { element: shown, update: (item) => setText(shown, pick(item)) };
}

/** JSON with its lines broken; anything else as it is. */
function pretty(message) {
  try {
    return JSON.stringify(JSON.parse(message), null, 2);
  } catch {
    return message;
  }
}

function show(found) {
  at("gone").hidden = found !== null;
  at("content").hidden = found === null;
  if (found !== null) {
    about(found.dead);
    actions.update(found.dead);
  }
}

if (mayAct) {
  at("actions").append(actions.element);
}
once(api("dead", settings.name), show);
