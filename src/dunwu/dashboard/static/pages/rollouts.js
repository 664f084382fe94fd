// Every completion of every step: a list to filter, sort and search, one group, one problem through time.

import { apiPath } from "../lib/api.js";
import { marksLegend } from "../lib/completion.js";
import { fill, h } from "../lib/dom.js";
import { emptyBox, failureBox, faultList } from "../lib/parts.js";
import { FILTERS, Filters } from "../lib/rollout-filters.js";
import { groupView } from "../lib/rollout-group.js";
import { History } from "../lib/rollout-history.js";
import { RolloutList } from "../lib/rollout-list.js";
import { href, setParams } from "../lib/route.js";

export default {
  title: "Rollouts",
  async mount(el, context) {
    const page = new RolloutsPage(el, context);
    await page.start();
  },
};

class RolloutsPage {
  constructor(el, context) {
    this.el = el;
    this.context = context;
    this.params = new URLSearchParams(context.params);
  }

  async start() {
    const { context, params } = this;
    const found = await context.api(apiPath(["runs", context.runId, "rollouts"]));
    this.stages = found.stages;
    const asked = params.get("stage");
    const stage = this.stages.find((s) => s.name === asked) ?? this.stages.findLast((s) => s.rollouts) ?? this.stages.at(-1);
    if (!stage) return this.wait();
    this.stage = stage.name;
    if (!stage.rollouts && !params.get("of") && stage.evaluations.length) {
      params.set("of", "evaluation");
      params.set("label", stage.evaluations.at(-1));
    }
    this.base = ["runs", context.runId, "stages", this.stage];
    if (params.get("problem")) return this.showProblem();
    if (params.get("group")) return this.showGroup();
    return this.showList(asked && asked !== this.stage ? asked : null);
  }

  /** No rollout yet: look again from time to time. */
  wait() {
    fill(this.el, h("div", { class: "page-head" }, h("h1", {}, "Rollouts")),
      emptyBox("No rollouts yet", "Stages that sample (RL, and data by sampling) write each completion with its rewards; they appear here with the first step."));
    this.context.poll(apiPath(["runs", this.context.runId, "rollouts"]), (found) => {
      if (found.stages.length) this.start();
    });
  }

  showList(without) {
    this.faults = h("div", {});
    const head = h("div", { class: "page-head" }, h("div", {}, h("h1", {}, "Rollouts"),
      h("p", {}, "Every completion that the policy wrote, as it was written and graded.")));
    const note = without ? h("p", { class: "quiet small" }, `Stage ${without} has no rollouts; these are of ${this.stage}.`) : null;
    this.filters = new Filters(this.params, (changes) => this.changed(changes));
    this.list = new RolloutList(this.context, {
      address: (more) => this.address(more), link: (item) => this.link(item), problemLink: (item) => this.problemLink(item),
      onFacts: (facts) => this.take(facts), isSearch: () => Boolean(this.params.get("text")),
    });
    fill(this.el, head, note, this.faults, this.filters.element, marksLegend(), this.list.element);
    this.filters.draw(this.stages, this.stage, null);
    this.list.reload();
  }

  changed(changes) {
    setParams(changes);
    if ("stage" in changes || "of" in changes) {
      this.stage = this.params.get("stage") ?? this.stage;
      if (this.base.at(-1) !== this.stage || "of" in changes) {
        this.base = ["runs", this.context.runId, "stages", this.stage];
        this.filters.draw(this.stages, this.stage, null);
      }
    }
    this.list.reload();
  }

  take(facts) {
    this.filters.draw(this.stages, this.stage, facts);
    fill(this.faults, faultList(facts.faults));
  }

  address(more) {
    const ask = Object.fromEntries(FILTERS.filter((name) => this.params.get(name)).map((name) => [name, this.params.get(name)]));
    if (ask.by === "group" && ask.text) delete ask.by;
    return apiPath([...this.base, "rollouts"], { ...ask, ...more });
  }

  /** What stays in the address when one goes into a group and back. */
  kept() {
    return { stage: this.stage, ...Object.fromEntries(FILTERS.filter((name) => this.params.get(name)).map((name) => [name, this.params.get(name)])) };
  }

  link(item) {
    return href("rollouts", this.context.runId, { ...this.kept(), label: item.label || null, rollout: item.rollout, group: item.group, sample: item.sample ?? null });
  }

  problemLink(item) {
    return href("rollouts", this.context.runId, { ...this.kept(), problem: item.prompt_id });
  }

  async showGroup() {
    const { params, context } = this;
    const ask = { of: params.get("of"), rollout: params.get("rollout"), group: params.get("group"), label: params.get("label") };
    let group;
    try {
      group = await context.api(apiPath([...this.base, "group"], ask));
    } catch (failure) {
      if (failure.name === "AbortError") return;
      fill(this.el, failureBox(failure.message, h("a", { href: href("rollouts", context.runId, this.kept()) }, "All rollouts")));
      return;
    }
    const beside = (by) => {
      const at = group.group + by;
      return at >= 0 && at < group.groups ? this.link({ label: group.label, rollout: group.rollout, group: at }) : null;
    };
    fill(this.el, h("div", { class: "page-head" }, h("h1", {}, "One group")), groupView(group, {
      back: href("rollouts", context.runId, this.kept()), problem: this.problemLink(group), before: beside(-1), after: beside(1),
    }, params.get("sample")));
    const chosen = this.el.querySelector(".chosen");
    chosen?.scrollIntoView({ block: "center" });
    chosen?.focus({ preventScroll: true });
  }

  async showProblem() {
    const back = href("rollouts", this.context.runId, this.kept());
    const history = new History(this.context, this.base, this.params.get("of"), (item) => this.link(item), back);
    try {
      await history.load(this.params.get("problem"));
      fill(this.el, h("div", { class: "page-head" }, h("h1", {}, "One problem through time")), history.element);
    } catch (failure) {
      if (failure.name !== "AbortError") fill(this.el, failureBox(failure.message, h("a", { href: back }, "All rollouts")));
    }
  }
}
