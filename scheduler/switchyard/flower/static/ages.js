/** Ages that keep counting between two answers, and when no answer comes any more. */

import { element, setText } from "./dom.js";
import { duration, NONE } from "./format.js";

/** Milliseconds between two counts. */
const TICK = 1000;

/** Element -> when what it tells the age of began, in ms on this page's clock. */
const began = new Map();

/** A widget that shows the age which `pick` takes from the item: seconds now, or null. */
export function age(pick) {
  const shown = element("span", { class: "sy-age" });
  return { element: shown, update: (item) => count(shown, pick(item)) };
}

/** Lets the element show an age of so many seconds, and count on from there. */
export function count(shown, seconds) {
  if (seconds === null || seconds === undefined) {
    began.delete(shown);
    setText(shown, NONE);
    return;
  }
  began.set(shown, performance.now() - seconds * 1000);
  show(shown);
}

function show(shown) {
  setText(shown, duration((performance.now() - began.get(shown)) / 1000));
}

function tick() {
  for (const shown of began.keys()) {
    if (shown.isConnected) {
      show(shown);
    } else {
      began.delete(shown);
    }
  }
}

setInterval(tick, TICK);
