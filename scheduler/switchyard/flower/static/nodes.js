/** The Nodes page. */

import { age } from "./ages.js";
import { sparkline } from "./chart.js";
import { rows, setText, text } from "./dom.js";
import { count, NONE, percent, several } from "./format.js";
import { announce, api, follow, mayAct } from "./live.js";
import { chips, drain, labels, link, origins, slots, speed, state } from "./node_widgets.js";

const CARDS = {
  up: (cards) => `${count(cards.nodes_up)} of ${count(cards.nodes)}`,
  busy: (cards) => `${count(cards.busy)} of ${count(cards.slots)}`,
  free: (cards) => count(cards.free),
  waiting: (cards) => count(cards.waiting),
  restored: (cards) => count(cards.restored_last_hour),
};

const table = rows(document.getElementById("nodes"), (node) => node.name, widgets);
const empty = document.getElementById("empty");

/** Node -> its state when it was last shown, null before the first look. */
let states = null;

function widgets() {
  const figures = [
    link((node) => node.name),
    state(),
    slots(),
    text((node) => count(node.outstanding)),
    text((node) => measured(node, percent(node.load.cpu)), "sy-figure"),
    text((node) => measured(node, percent(node.load.memory)), "sy-figure"),
    sparkline((node) => node.trend.busy, trend, 100),
    age((node) => node.lease_age),
    text(speed),
    chips(labels),
    chips(origins),
  ];
  return mayAct ? [...figures, drain()] : figures;
}

/** What a lost node last said of its load is no figure of now. */
function measured(node, figure) {
  return node.state === "lost" ? NONE : figure;
}

function trend(node) {
  return `Slots in use over the last 5 minutes, now ${count(node.busy)} of ${count(node.slots)}`;
}

function show({ cards, nodes }) {
  for (const [name, figure] of Object.entries(CARDS)) {
    setText(document.getElementById(`card-${name}`), figure(cards));
  }
  table.update(nodes);
  empty.hidden = nodes.length > 0;
  tellChanges(nodes, cards);
}

/** Says which nodes changed their state, and how many are up now. */
function tellChanges(nodes, cards) {
  const before = states;
  states = new Map(nodes.map((node) => [node.name, node.state]));
  const changed = nodes.filter((node) => before && before.get(node.name) !== node.state);
  if (changed.length) {
    const news = changed.map((node) => `Node ${node.name} is ${node.state}.`).join(" ");
    announce(`${news} ${several(cards.nodes_up, "node")} up, ${several(cards.waiting, "task")} waiting.`);
  }
}

follow(api("cluster"), show);
