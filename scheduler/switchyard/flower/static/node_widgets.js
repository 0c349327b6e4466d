/** How a node's figures look, in the table and on the node's own page. */

import { action } from "./actions.js";
import { element, Keyed, setAttribute, setText, svg } from "./dom.js";
import { count, NONE, percent, several } from "./format.js";
import { api, nodePage } from "./live.js";

const COLOURS = { up: "text-bg-success", draining: "text-bg-warning", lost: "text-bg-danger" };

/** Up, draining or lost. */
export function state() {
  const badge = element("span");
  const update = (node) => {
    setText(badge, node.state);
    setAttribute(badge, "class", `badge sy-badge ${COLOURS[node.state]}`);
  };
  return { element: badge, update };
}

/** A link to the node's page. */
export function link(pick) {
  const shown = element("a");
  const update = (item) => {
    setText(shown, pick(item));
    setAttribute(shown, "href", nodePage(pick(item)));
  };
  return { element: shown, update };
}

/** Slots in use, as a bar and in figures. */
export function slots() {
  const used = svg("rect", { class: "sy-bar-used", height: 1 });
  const room = svg("rect", { class: "sy-bar-room", height: 1, width: 1 });
  const box = { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" };
  const figures = element("span", { class: "sy-figure" });
  const shown = element("span", { class: "sy-bar" }, svg("svg", box, room, used), figures);
  const update = (node) => {
    setAttribute(used, "width", node.slots ? node.busy / node.slots : 0);
    setText(figures, `${count(node.busy)}/${count(node.slots)}`);
  };
  return { element: shown, update };
}

/** Short texts side by side; `pick` gives them, each once. */
export function chips(pick) {
  const shown = element("span", { class: "sy-chips" });
  const kept = new Keyed(shown, (text) => text, chip);
  const update = (item) => {
    const texts = pick(item);
    kept.update(texts.length ? texts : [NONE]);
  };
  return { element: shown, update };
}

function chip(text) {
  const shown = element("span", text === NONE ? {} : { class: "sy-chip" }, text);
  return { element: shown, update: () => {} };
}

/** A node's labels as `name=value`. */
export function labels(node) {
  return Object.entries(node.labels).map(([name, value]) => `${name}=${value}`);
}

/** Which strategy placed how many tasks on the node. */
export function origins(node) {
  return Object.entries(node.placements).map(([strategy, tasks]) => `${strategy} ${count(tasks)}`);
}

/** How fast the node runs what others run too. */
export function speed(node) {
  return node.speed === null ? NONE : `${node.speed.toFixed(2)}×`;
}

/** The share of the look-ups of all the node's processes that its own memory or the cache servers answered. */
export function cacheHits(node) {
  const { near_hits: near = 0, near_misses: missed = 0, found = 0 } = node.load.cache;
  return near + missed ? percent((100 * (near + found)) / (near + missed)) : NONE;
}

/** Cached results in the node's own memory. */
export function cachedInMemory(node) {
  const { near_entries: entries = 0, near_bytes: bytes = 0 } = node.load.cache;
  return entries ? `${several(entries, "value")}, ${(bytes / 1e6).toFixed(1)} MB` : NONE;
}

/** The button that drains the node, or resumes it. A lost node can do neither. */
export function drain() {
  return action((node) => (node.state === "lost" ? null : operation(node)));
}

function operation(node) {
  const name = `node ${node.name}`;
  if (node.state === "draining") {
    return { verb: "Resume", name, url: api("nodes", node.name, "resume"), done: resumed };
  }
  return { verb: "Drain", name, url: api("nodes", node.name, "drain"), done: drained };
}

function resumed(answer) {
  return `Node ${answer.node} takes tasks again.`;
}

function drained(answer) {
  return `Node ${answer.node} drains; ${several(answer.given_back, "task")} of its inbox went back.`;
}
