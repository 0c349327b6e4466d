/** Buttons that change the cluster. */

import { element, setAttribute, setText } from "./dom.js";
import { post } from "./http.js";

/**
 * A widget: a button that posts. `describe(item)` says what it would do now, or null if there is nothing to
 * do: `verb` and `name` call it, `question`, if there is one, is asked first, `url` does it,
 * `done(answer)` reports it. `after` is called when it is done.
 */
export function action(describe, { colour = "primary", after = () => {} } = {}) {
  const button = element("button", { type: "button", class: `btn btn-sm btn-outline-${colour}` });
  let current = null;
  const update = (item) => {
    current = describe(item);
    button.hidden = current === null;
    if (current !== null) {
      setText(button, current.verb);
      setAttribute(button, "aria-label", `${current.verb} ${current.name}`);
    }
  };
  button.addEventListener("click", async () => (await press(button, current, colour)) && after());
  return { element: button, update };
}

/**
 * Whether it was done. A disabled button would lose the focus, so one that is busy only says so, and ignores
 * further presses.
 */
async function press(button, asked, colour) {
  const busy = button.getAttribute("aria-disabled") === "true";
  if (busy || (asked.question && !(await agreed(asked, colour)))) {
    return false;
  }
  button.setAttribute("aria-disabled", "true");
  try {
    toast(asked.done(await post(asked.url)), "success");
    return true;
  } catch (error) {
    toast(error.message, "danger");
    return false;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** Asks in a dialog of the browser's own: it keeps the focus inside, gives it back, and Escape means no. */
function agreed({ question, verb }, colour) {
  const no = element("button", { type: "button", class: "btn btn-outline-secondary" }, "Cancel");
  const yes = element("button", { type: "button", class: `btn btn-${colour}` }, verb);
  const words = element("p", { id: "sy-question" }, question);
  const buttons = element("div", { class: "sy-dialog-buttons" }, no, yes);
  const dialog = element("dialog", { class: "sy-dialog", "aria-labelledby": "sy-question" }, words, buttons);
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", () => dialog.close("yes"));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
  });
}

/** A message in Flower's own corner, which a screen reader reads out. */
function toast(message, colour) {
  const close = element("button", {
    type: "button",
    class: "btn-close btn-close-white me-2 m-auto",
    "data-bs-dismiss": "toast",
    "aria-label": "Close",
  });
  const body = element("div", { class: "d-flex" }, element("div", { class: "toast-body" }, message), close);
  const shown = element("div", { class: `toast align-items-center text-bg-${colour} border-0` }, body);
  document.getElementById("toast-container").append(shown);
  shown.addEventListener("hidden.bs.toast", () => shown.remove());
  window.bootstrap.Toast.getOrCreateInstance(shown, { delay: colour === "danger" ? 10000 : 5000 }).show();
}
