// One group: the answers to one prompt, side by side with what each earned.

import { completion, marksLegend } from "./completion.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { advantageBar, languageName, verdict } from "./rollout-parts.js";

const KINDS = { recomputed: "corrected a calculation", restated: "changed its stated answer", rejected: "rejected an attempt" };

/** Build the view of a group; `links`: {back, problem, before, after}. */
export function groupView(group, links, chosen) {
  const largest = Math.max(...group.members.map((member) => Math.abs(member.advantage ?? 0)));
  const general = group.grader === "preference";
  const steps = group.label ? `evaluation ${group.label}`
    : group.steps[0] === group.steps[1] ? `step ${group.steps[0].toLocaleString("en")}` : `steps ${group.steps[0]} to ${group.steps[1]}`;
  return h("div", { class: "group-view" },
    h("nav", { class: "crumbs", "aria-label": "Where this group is" },
      h("a", { href: links.back }, "All rollouts"), h("span", { class: "quiet" }, `${steps}, group ${group.group} of 0 to ${group.groups - 1}`),
      links.before ? h("a", { class: "button", href: links.before }, "‹ group before") : null,
      links.after ? h("a", { class: "button", href: links.after }, "next group ›") : null,
      h("a", { class: "button", href: links.problem }, "This problem through time")),
    h("div", { class: "problem sheet" },
      h("p", { class: "quiet small" }, `${group.prompt_id} · ${group.kind} · question in ${languageName(group.language)}`),
      h("h2", {}, group.question.trim()),
      general ? null : h("p", { class: "small" }, "Reference ", h("code", {}, group.reference)),
      h("details", { class: "small" }, h("summary", {}, "The prompt as the policy saw it"), h("pre", {}, group.prompt)),
      group.dropped ? h("p", { class: "flag" }, "This group was replaced before training, because its rewards had no spread.") : null),
    table(group, largest),
    marksLegend(),
    h("ol", { class: "members" }, group.members.map((member) => h("li", {}, memberCard(member, largest, String(member.sample) === chosen)))));
}

/** The group at a glance: one line for each answer. */
function table(group, largest) {
  const parts = [...new Set(group.members.flatMap((member) => member.parts.map((part) => part.name)))];
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "The group's rewards" },
    h("table", { class: "data group-table" },
      h("thead", {}, h("tr", {}, ["Sample", "Answer", "Verdict", "Reward", ...parts, "Advantage", "Tokens"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, group.members.map((member) => h("tr", {},
        h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => document.getElementById(`sample-${member.sample}`)?.scrollIntoView({ block: "start" }) }, `#${member.sample}`)),
        h("td", { class: "answer-cell" }, member.answer ?? h("span", { class: "quiet" }, "none")), h("td", {}, verdict(member.correct)),
        h("td", { class: "num" }, member.reward === null ? "none" : number(member.reward)),
        parts.map((name) => h("td", { class: "num" }, partText(member.parts.find((part) => part.name === name)))),
        h("td", {}, advantageBar(member.advantage, largest)),
        h("td", { class: "num" }, member.tokens.toLocaleString("en"), member.truncated ? " cut" : ""))))));
}

function partText(part) {
  if (!part) return "–";
  return part.status === "ok" ? number(part.value) : part.status.replaceAll("_", " ");
}

function memberCard(member, largest, chosen) {
  const reasons = member.parts.filter((part) => part.detail);
  return h("article", { class: `roll member${chosen ? " chosen" : ""}`, id: `sample-${member.sample}`, tabindex: chosen ? "-1" : null },
    h("header", {},
      h("h3", {}, `#${member.sample}`), verdict(member.correct),
      h("span", { class: "num" }, "reward ", h("strong", {}, member.reward === null ? "none" : number(member.reward))),
      h("span", {}, "advantage ", advantageBar(member.advantage, largest)),
      h("span", { class: "num" }, `${member.tokens.toLocaleString("en")} tokens`),
      h("span", { class: "num quiet", title: "the sum of its log-probabilities over its tokens" }, `log-prob ${number(member.sum_logprob)}`),
      member.truncated ? h("span", { class: "flag" }, "cut at the limit") : null,
      member.correction ? h("span", { class: "flag good" }, `${KINDS[member.correction.kind]}: ${member.correction.reason}`) : null),
    reasons.length ? h("ul", { class: "reasons", "aria-label": "The grader's reasons" }, reasons.map((part) =>
      h("li", {}, h("strong", {}, part.name), ` ${partText(part)}: `, part.detail))) : null,
    completion(member.pieces));
}

