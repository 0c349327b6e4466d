/** Requests to the dashboard, each with a deadline; an error's message is for the reader of the page. */

/** Milliseconds after which a request counts as unanswered. */
const DEADLINE = 5000;

/** The JSON document at this address; null if there is no such thing (any more). */
export async function read(url) {
  const answer = await send(url, {});
  return answer.status === 404 ? null : understood(answer);
}

/** Asks the dashboard to do something. The token says that this page asks, not another site. */
export async function post(url) {
  const headers = { "X-XSRFToken": cookie("_xsrf") };
  return understood(await send(url, { method: "POST", headers }));
}

async function send(url, options) {
  const signal = AbortSignal.timeout(DEADLINE);
  try {
    return await fetch(url, { ...options, signal, cache: "no-store", redirect: "manual" });
  } catch {
    throw new Error("The dashboard does not answer.");
  }
}

async function understood(answer) {
  if (answer.type === "opaqueredirect" || answer.status === 401) {
    throw new Error("You are not logged in any more; reload the page.");
  }
  const found = await answer.json().catch(() => null);
  if (!answer.ok || found === null) {
    throw new Error(found?.error ?? `The dashboard answered with status ${answer.status}.`);
  }
  return found;
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
