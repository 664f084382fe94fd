// Where the time of a stage's profiled steps went: a bar of phases for each step, and the phases of one of them as a table.

import { apiPath } from "./api.js";
import { csv, saveAs } from "./download.js";
import { fill, h } from "./dom.js";
import { bytes, number, share } from "./format.js";
import { faultList } from "./parts.js";

const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"]; // of the phases that took longest; the others share one
const REST = "--line-strong";

/** Follows the profiles of a stage. The element stays empty where there are none. */
export class ProfilePart {
  constructor(context) {
    this.context = context;
    this.element = h("div", {});
  }

  /** Show the profiles of `stage` until `signal` aborts. */
  follow(stage, signal) {
    Object.assign(this, { stage, chosen: null });
    fill(this.element);
    const path = apiPath(["runs", this.context.runId, "stages", stage, "profiles"]);
    this.context.pollWith(signal, path, (answer) => this.take(answer), () => (this.context.run?.live ? 10 : 60));
  }

  take({ profiles, faults }) {
    this.profiles = profiles;
    if (!profiles.length) {
      fill(this.element, faultList(faults));
      return;
    }
    this.colors = colorsOf(profiles);
    this.bars = h("ul", { class: "profile-bars", "aria-label": "Profiled steps" });
    this.table = h("div", {});
    fill(this.element, h("section", { class: "section", "aria-label": "Profile" },
      h("div", { class: "section-head" }, h("h2", {}, "Where does a step's time go?"),
        h("p", { class: "quiet small" }, "Steps that were profiled. The profiler slows small operations down, so shares mean more than seconds; each phase is given without those inside it.")),
      faultList(faults),
      h("div", { class: "sheet profile" },
        h("div", { class: "profile-head" }, h("h3", {}, "Seconds by phase"),
          h("button", { type: "button", "aria-label": "Seconds by phase: download as CSV", onclick: () => this.save() }, "CSV")),
        this.bars, this.table)));
    this.choose(profiles.find((profile) => profile.step === this.chosen)?.step ?? profiles.at(-1).step);
  }

  /** Show a step's phases in the table. */
  choose(step) {
    this.chosen = step;
    const longest = Math.max(1e-9, ...this.profiles.map((profile) => profile.seconds ?? 0));
    fill(this.bars, this.profiles.map((profile) => h("li", {}, this.bar(profile, longest))));
    fill(this.table, this.tableOf(this.profiles.find((profile) => profile.step === step)));
  }

  bar(profile, longest) {
    const known = profile.phases.filter((phase) => phase.seconds > 0);
    const told = known.slice(0, 3).map((phase) => `${phase.name} ${share(phase.share, 0)}`).join(", ");
    const coloured = known.filter((phase) => this.colors.has(phase.name)).sort((a, b) => this.place(a) - this.place(b));
    const rest = known.filter((phase) => !this.colors.has(phase.name)).reduce((sum, phase) => sum + phase.seconds, 0);
    const piece = (name, seconds, color) => h("i", { title: `${name}: ${number(seconds)} s`,
      style: { width: `${(100 * seconds) / longest}%`, background: `var(${color})` } });
    return h("button", {
      type: "button", "aria-pressed": String(profile.step === this.chosen),
      onclick: () => {
        this.choose(profile.step);
        this.bars.querySelector("[aria-pressed=true]").focus();
      },
    }, h("span", { class: "num" }, `step ${profile.step.toLocaleString("en")}`),
    h("span", { class: "profile-bar", role: "img", "aria-label": told || "no phases" }, coloured.map((phase) => piece(phase.name, phase.seconds, this.colors.get(phase.name))),
      rest > 0 ? piece("the other phases", rest, REST) : null),
    h("span", { class: "num quiet" }, `${number(profile.seconds)} s`));
  }

  place(phase) {
    return [...this.colors.keys()].indexOf(phase.name);
  }

  tableOf(profile) {
    const name = `Phases of step ${profile.step}`;
    const heads = ["Phase", "Share", "Seconds", "Calls", "Most memory", "Operations that took longest"];
    return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": name },
      h("table", { class: "data" },
        h("thead", {}, h("tr", {}, heads.map((head, i) => h("th", { scope: "col", class: i > 0 && i < 5 ? "r" : null }, head)))),
        h("tbody", {}, profile.phases.map((phase) => h("tr", {},
          h("th", { scope: "row" }, h("i", { class: "profile-key", "aria-hidden": "true", style: { background: `var(${this.colors.get(phase.name) ?? REST})` } }), phase.name),
          h("td", { class: "r num" }, share(phase.share)), h("td", { class: "r num" }, number(phase.seconds)),
          h("td", { class: "r num" }, phase.calls === null ? "–" : phase.calls.toLocaleString("en")),
          h("td", { class: "r num" }, bytes(phase.peak_memory_bytes)),
          h("td", { class: "small quiet" }, phase.operations.map(([operation, seconds]) => `${operation} ${number(seconds)} s`).join(", ")))))));
  }

  save() {
    const rows = this.profiles.flatMap((profile) => profile.phases.map((phase) => ({ step: profile.step, ...phase })));
    const names = ["step", "name", "seconds", "share", "calls", "peak_memory_bytes"];
    saveAs(`${this.context.runId}-${this.stage}-profile.csv`, csv(names, names.map((name) => rows.map((row) => row[name]))), "text/csv");
  }
}

/** A colour for each of the phases that took longest over all profiles, the longest first. */
function colorsOf(profiles) {
  const seconds = new Map();
  for (const phase of profiles.flatMap((profile) => profile.phases)) seconds.set(phase.name, (seconds.get(phase.name) ?? 0) + (phase.seconds ?? 0));
  const names = [...seconds].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return new Map(names.slice(0, COLORS.length).map((name, i) => [name, COLORS[i]]));
}
