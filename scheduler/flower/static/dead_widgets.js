/** What can be done with a task that was given up on. Both are asked for twice: neither can be taken back. */

import { action } from "./actions.js";
import { api } from "./live.js";

/** A widget: puts the task on its queue again. */
export function requeue() {
  return action((task) => ({
    verb: "Requeue",
    name: title(task),
    question: `Put ${title(task)} at the end of queue ${task.queue} again? Its death count starts anew.`,
    url: api("dead", task.receipt, "requeue"),
    done: () => `${title(task)} is back on queue ${task.queue}.`,
  }));
}

/** A widget: throws the task away. */
export function discard() {
  return action(
    (task) => ({
      verb: "Discard",
      name: title(task),
      question: `Throw ${title(task)} away for good? It will never run.`,
      url: api("dead", task.receipt, "discard"),
      done: () => `${title(task)} is gone.`,
    }),
    "danger",
  );
}

/** How a task is called where it is asked about: its name may be unreadable, its receipt is unique. */
export function title(task) {
  return `${task.task ?? "unreadable task"} (receipt ${task.receipt})`;
}
