/** The Dead page. */

import { age } from "./ages.js";
import { buttons, title } from "./dead_widgets.js";
import { element, rows, setAttribute, setText, text } from "./dom.js";
import { count, NONE, several } from "./format.js";
import { api, follow, mayAct, settings } from "./live.js";

const empty = document.getElementById("empty");
const more = document.getElementById("more");
const table = rows(document.getElementById("dead"), (task) => task.receipt, widgets);

function widgets() {
  const figures = [
    link(),
    text(argumentsOf, "sy-arguments"),
    text((task) => task.queue),
    text((task) => count(task.deaths)),
    text((task) => task.nodes.join(", ") || NONE),
    ago(),
    text((task) => task.reason),
  ];
  return mayAct ? [...figures, buttons()] : figures;
}

function argumentsOf(task) {
  return [task.args, task.kwargs].filter((text) => text && text !== "()" && text !== "{}").join(" ") || NONE;
}

function link() {
  const shown = element("a");
  const update = (task) => {
    setText(shown, task.task ?? "unreadable");
    setAttribute(shown, "href", `${settings.deadTask}?name=${encodeURIComponent(task.receipt)}`);
    setAttribute(shown, "aria-label", title(task));
  };
  return { element: shown, update };
}

function ago() {
  const widget = age((task) => task.age);
  return { element: element("span", { class: "sy-figure" }, widget.element, " ago"), update: widget.update };
}

function show(found) {
  table.update(found.dead);
  empty.hidden = found.dead.length > 0;
  const hidden = found.count - found.dead.length;
  more.hidden = hidden <= 0;
  setText(more, `${several(hidden, "older task")} not listed.`);
}

follow(api("dead"), show);
