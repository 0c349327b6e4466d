/** The Dead page. */

import { age } from "./ages.js";
import { buttons, title } from "./dead_widgets.js";
import { element, rows, setAttribute, setText, text } from "./dom.js";
import { count, NONE, several } from "./format.js";
import { api, follow, mayAct, settings } from "./live.js";

const filter = document.getElementById("filter");
const latest = document.getElementById("latest");
const older = document.getElementById("older");
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

/** How many of the latest are left out, and where the next ones begin: null at the end of all. */
let start = 0;
let following = null;

function show(found) {
  table.update(found.dead);
  following = found.following;
  empty.hidden = found.dead.length > 0;
  setText(empty, found.count ? "None of those looked at is like that." : "No task was given up on.");
  more.hidden = start === 0 && following === null && found.dead.length === found.count;
  setText(more, `${count(found.dead.length)} listed of ${several(found.count, "task")} given up on.`);
  latest.disabled = start === 0;
  older.disabled = following === null;
}

function address() {
  const said = [...new FormData(filter)].filter(([, value]) => value !== "");
  const chosen = start === 0 ? said : [...said, ["start", String(start)]];
  return chosen.length ? `${api("dead")}?${new URLSearchParams(chosen)}` : api("dead");
}

function go(to) {
  start = to;
  latest.disabled = older.disabled = true;
}

filter.addEventListener("input", () => go(0));
filter.addEventListener("submit", (event) => event.preventDefault());
latest.addEventListener("click", () => go(0));
older.addEventListener("click", () => following !== null && go(following));

follow(address, show);
