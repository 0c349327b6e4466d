/** What can be done with a task that was given up on. Both are asked for twice: neither can be taken back. */

import { action } from "./actions.js";
import { element } from "./dom.js";
import { api } from "./live.js";

/** A widget: puts the task on its queue again. */
function requeue(after) {
  const describe = (task) => ({
    verb: "Requeue",
    name: title(task),
    question: `Put ${title(task)} at the end of queue ${task.queue} again? Its death count starts anew.`,
    url: api("dead", task.receipt, "requeue"),
    done: () => `${title(task)} is back on queue ${task.queue}.`,
  });
  return action(describe, { after });
}

/** A widget: throws the task away. */
function discard(after) {
  const describe = (task) => ({
    verb: "Discard",
    name: title(task),
    question: `Throw ${title(task)} away for good? It will never run.`,
    url: api("dead", task.receipt, "discard"),
    done: () => `${title(task)} is gone.`,
  });
  return action(describe, { colour: "danger", after });
}

/** A widget: the buttons for one task; `after` is called when one of them has done its work. */
export function buttons(after) {
  const both = [requeue(after), discard(after)];
  const shown = element("div", { class: "sy-actions" }, ...both.map((button) => button.element));
  return { element: shown, update: (task) => both.forEach((button) => button.update(task)) };
}

/** How a task is called where it is asked about: its name may be unreadable, its receipt is unique. */
export function title(task) {
  return `${task.task ?? "unreadable task"} (receipt ${task.receipt})`;
}
