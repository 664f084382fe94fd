// All runs under the folders that the dashboard was given.

import { fill, h } from "../lib/dom.js";
import { emptyBox, faultList, stateMark } from "../lib/parts.js";
import { href } from "../lib/route.js";

export default {
  title: "Runs",
  mount(el, context) {
    context.poll("/api/runs", (data) => fill(el,
      h("h1", {}, "Runs"),
      data.runs.length ? data.runs.map((run) => h("section", { class: "sheet" },
        h("h2", {}, h("a", { href: href("overview", run.id) }, run.id)), stateMark(run.state), faultList(run.faults)))
        : emptyBox("No run yet", `Nothing under ${data.roots.join(", ")} is a run folder.`)), () => 3);
  },
};
