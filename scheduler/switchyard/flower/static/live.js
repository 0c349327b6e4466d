/**
 * Keeps a page live: reads one document again and again, hands it to the page, and says so when the cluster
 * or the dashboard is gone. What was known last stays, its ages count on, and when they are back, so is the
 * page.
 */

import { count } from "./ages.js";
import { setText } from "./dom.js";
import { read } from "./http.js";

/** Milliseconds between an answer and the next request. */
const PAUSE = 1000;

const page = document.getElementById("sy-page");
const trouble = document.getElementById("sy-trouble");
const problem = document.getElementById("sy-problem");
const announcer = document.getElementById("sy-announcer");
const dot = document.getElementById("sy-dot");
const status = document.getElementById("sy-status");
const freshness = document.getElementById("sy-freshness");

/** What the server wrote into the page: what it is about, and the addresses of others. */
export const settings = page.dataset;

/** Whether this page may change the cluster. */
export const mayAct = settings.readOnly === "no";

/**
 * An address below the API. A name may hold any character. It is spelt out from the origin on: what is
 * relative to a page that was opened with a password in its address may not be fetched.
 */
export function api(...steps) {
  return [location.origin + settings.api, ...steps.map(encodeURIComponent)].join("/");
}

/** The page about one node. */
export function nodePage(name) {
  return `${settings.node}?name=${encodeURIComponent(name)}`;
}

/**
 * Shows each new document with `show`, null if what the page is about is gone, until the page is left. `url`
 * may be a function: what the reader asks for may change, and an answer to an older question is not shown.
 */
export async function follow(url, show) {
  const wanted = typeof url === "function" ? url : () => url;
  for (;;) {
    const asked = wanted();
    await refresh(asked, (found) => wanted() === asked && show(found));
    await pause();
  }
}

/** Shows a document that does not change, as soon as it can be read. */
export async function once(url, show) {
  while (!(await refresh(url, show))) {
    await pause();
  }
}

/** Whether the dashboard answered. */
async function refresh(url, show) {
  let found;
  try {
    found = await read(url);
  } catch (error) {
    report(error.message);
    return false;
  }
  if (found?.look) {
    count(freshness, found.look.age);
  }
  const error = found?.look?.error;
  report(error ? `The cluster can't be seen: ${error}` : null);
  show(found);
  return true;
}

/** Tells a screen reader what changed; the page itself shows it elsewhere. */
export function announce(message) {
  setText(announcer, message);
}

/** Says what is wrong, or with null that nothing is. */
function report(message) {
  trouble.hidden = !message;
  setText(problem, message ?? "");
  dot.classList.toggle("status-dot-live", !message);
  dot.classList.toggle("status-dot-error", Boolean(message));
  setText(status, message ? "Last seen" : "Live");
  freshness.hidden = !message;
}

/** Waits a moment; of a page that nobody looks at, until somebody does. */
async function pause() {
  await new Promise((resume) => setTimeout(resume, PAUSE));
  if (document.hidden) {
    await new Promise((resume) => document.addEventListener("visibilitychange", resume, { once: true }));
  }
}
