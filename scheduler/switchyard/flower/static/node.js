/** A node's own page. */

import { age } from "./ages.js";
import { chart } from "./chart.js";
import { details } from "./detail.js";
import { rows, text } from "./dom.js";
import { events } from "./event_widgets.js";
import { count, percent, runtime } from "./format.js";
import { announce, api, follow, mayAct, settings } from "./live.js";
import { cachedInMemory, cacheHits, chips, drain, labels, slots, speed, state } from "./node_widgets.js";

const at = (id) => document.getElementById(id);
const load = chart(
  "Percent",
  [
    { label: "slots in use", pick: (node) => node.trend.busy, now: busyShare, show: percent },
    { label: "CPU", pick: (node) => node.trend.cpu, now: (node) => node.load.cpu, show: percent },
  ],
  100,
);
const about = details(at("about"), [
  ["State", state()],
  ["Slots", slots()],
  ["Outstanding", text((node) => `${count(node.outstanding)} of ${count(node.limit)} at most`)],
  ["Lease age", age((node) => node.lease_age)],
  ["CPU", text((node) => percent(node.load.cpu))],
  ["Memory", text((node) => percent(node.load.memory))],
  ["Load average", text((node) => node.load.load1.toFixed(2))],
  ["Speed", text(speed)],
  ["Tasks done", text((node) => count(node.load.done))],
  ["Cache hits", text(cacheHits)],
  ["Cached in memory", text(cachedInMemory)],
  ["Queues", chips((node) => node.queues)],
  ["Labels", chips(labels)],
  ["Process", text((node) => `${node.pid} (${node.hostname})`)],
  ["Versions", chips((node) => Object.entries(node.versions).map(([name, version]) => `${name} ${version}`))],
]);
const origins = rows(at("origins"), ([strategy]) => strategy, () => [
  text(([strategy]) => strategy),
  text(([, tasks]) => count(tasks)),
]);
const runtimes = rows(at("runtimes"), ([task]) => task, () => [
  text(([task]) => task),
  text(([, seconds]) => runtime(seconds)),
]);
const list = events(at("events"));
const button = drain();

/** The node's state when it was last shown. */
let before = null;

function busyShare(node) {
  return node.slots ? (100 * node.busy) / node.slots : 0;
}

function show(found) {
  at("gone").hidden = found !== null;
  at("content").hidden = found === null;
  if (found === null) {
    return;
  }
  const { node } = found;
  for (const widget of [load, button]) {
    widget.update(node);
  }
  about(node);
  origins.update(Object.entries(node.placements));
  runtimes.update(Object.entries(node.runtimes));
  list.update(node.events);
  at("empty").hidden = node.events.length > 0;
  tellChange(node);
}

function tellChange(node) {
  if (before !== null && before !== node.state) {
    announce(`Node ${node.name} is ${node.state}.`);
  }
  before = node.state;
}

at("load").append(load.element);
if (mayAct) {
  at("actions").append(button.element);
}
follow(api("nodes", settings.name), show);
