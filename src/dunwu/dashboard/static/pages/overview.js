// One run: its chain of stages.

import { fill, h } from "../lib/dom.js";
import { faultList, stateMark } from "../lib/parts.js";

export default {
  title: "Chain",
  mount(el, context) {
    context.onRun((run) => fill(el, h("h1", {}, run.title), faultList(run.faults),
      h("ol", {}, run.stages.map((stage) => h("li", {}, stage.name, " ", stateMark(stage.state))))));
  },
};
