/** The Queues page. */

import { age } from "./ages.js";
import { chart, sparkline } from "./chart.js";
import { element, Keyed, rows, setText, text } from "./dom.js";
import { count, rate, several } from "./format.js";
import { api, follow } from "./live.js";

/** The series that the charts show. */
const SERIES = ["waiting", "in", "out"];

const table = rows(document.getElementById("queues"), (queue) => queue.name, widgets);
const empty = document.getElementById("empty");
const chosen = document.getElementById("chosen");
const choices = new Keyed(document.getElementById("choices"), (queue) => queue.name, choice);
const charts = [
  chart("Tasks not started", [
    { label: "waiting or placed", pick: (all) => all.waiting, now: (all) => all.now.waiting, show: whole },
  ]),
  chart("Tasks per second", [
    { label: "in", pick: (all) => all.in, now: (all) => all.now.in, show: rate },
    { label: "out", pick: (all) => all.out, now: (all) => all.now.out, show: rate },
  ]),
];

/** The queues as last seen, to draw another one's charts at once. */
let queues = [];

function widgets() {
  return [
    text((queue) => queue.name),
    text((queue) => count(queue.waiting)),
    text((queue) => count(queue.placed)),
    text((queue) => count(queue.claimed)),
    age((queue) => queue.oldest_age),
    text((queue) => rate(queue.in)),
    text((queue) => rate(queue.out)),
    sparkline((queue) => queue.trend.waiting, trend),
    service(),
  ];
}

function trend(queue) {
  return `Tasks not started over the last 5 minutes, now ${count(notStarted(queue))}`;
}

function whole(tasks) {
  return count(Math.round(tasks));
}

/** How many nodes serve the queue, and which tasks none of them may run. */
function service() {
  const nodes = text((queue) => (queue.nodes ? several(queue.nodes, "node") : "no node"));
  const list = element("ul", { class: "sy-stranded" });
  const stranded = new Keyed(list, ([wanted]) => wanted, strandedTasks);
  const update = (queue) => {
    nodes.update(queue);
    nodes.element.classList.toggle("sy-warning", queue.nodes === 0);
    stranded.update(Object.entries(queue.stranded));
    list.hidden = list.childElementCount === 0;
  };
  return { element: element("div", { class: "sy-service" }, nodes.element, list), update };
}

function strandedTasks() {
  const shown = element("li", { class: "sy-warning" });
  const update = ([wanted, tasks]) => {
    setText(shown, `${several(tasks, "task")} for ${wanted}: no node may run ${tasks === 1 ? "it" : "them"}`);
  };
  return { element: shown, update };
}

function choice(queue) {
  const shown = element("option", { value: queue.name }, queue.name);
  return { element: shown, update: () => {} };
}

function show(found) {
  queues = found.queues;
  table.update(queues);
  choices.update(queues);
  empty.hidden = queues.length > 0;
  draw();
}

function draw() {
  const wanted = chosen.selectedIndex === 0 ? queues : queues.filter((queue) => queue.name === chosen.value);
  const all = together(wanted);
  for (const shown of charts) {
    shown.update(all);
  }
}

/** Several queues as one: the sums of their series, and of their figures of now. */
function together(wanted) {
  const trends = SERIES.map((name) => [name, sum(wanted.map((queue) => queue.trend[name]))]);
  const now = {
    waiting: total(wanted, notStarted),
    in: total(wanted, (queue) => queue.in),
    out: total(wanted, (queue) => queue.out),
  };
  return { ...Object.fromEntries(trends), now };
}

function total(wanted, figure) {
  return wanted.reduce((found, queue) => found + figure(queue), 0);
}

function notStarted(queue) {
  return queue.waiting + queue.placed;
}

/** Several series as one; null where none of them has a value. */
function sum(lines) {
  const [first = [], ...rest] = lines;
  return rest.reduce((total, line) => total.map((value, index) => add(value, line[index])), first);
}

function add(one, other) {
  return one === null || other === null ? (one ?? other) : one + other;
}

document.getElementById("charts").append(...charts.map((shown) => shown.element));
chosen.addEventListener("change", draw);
follow(api("queues"), show);
