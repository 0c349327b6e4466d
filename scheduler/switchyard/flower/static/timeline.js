/** The timeline of the cluster. */

import { events } from "./event_widgets.js";
import { api, follow } from "./live.js";

const list = events(document.getElementById("events"));
const empty = document.getElementById("empty");

follow(api("events"), (found) => {
  list.update(found.events);
  empty.hidden = found.events.length > 0;
});
