// The list of rollouts, or of groups: pages that follow each other as one scrolls.

import { completion } from "./completion.js";
import { fill, h } from "./dom.js";
import { number, share } from "./format.js";
import { emptyBox } from "./parts.js";
import { dots, mean, signed, verdict, whenText } from "./rollout-parts.js";

const MOST_SHOWN = 600;
const LIMIT = 30;

export class RolloutList {
  /** `address(more)` gives the API's address of a page; `link(item)` and `problemLink(item)` lead on; `onFacts(page)` hears what there is. */
  constructor(context, { address, link, problemLink, onFacts, isSearch }) {
    Object.assign(this, { context, address, link, problemLink, onFacts, isSearch });
    this.line = h("p", { class: "list-line num", role: "status" });
    this.items = h("ol", { class: "rolls" });
    this.more = h("button", { type: "button", class: "more", onclick: () => this.next() }, "Show more");
    this.foot = h("div", { class: "list-foot" }, this.more);
    this.fresh = h("button", { type: "button", class: "fresh", onclick: () => this.reload() }, "");
    this.fresh.hidden = true;
    this.element = h("div", {}, this.line, this.fresh, this.items, this.foot);
    this.observer = new IntersectionObserver((entries) => { if (entries[0].isIntersecting) this.next(); }, { rootMargin: "600px" });
    this.observer.observe(this.foot);
    context.signal.addEventListener("abort", () => this.observer.disconnect());
  }

  /** Ask for the first page, and go on asking while the run is live or the index grows. */
  reload() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.signal = AbortSignal.any([this.context.signal, this.stop.signal]);
    this.shown = 0;
    this.offset = 0;
    this.wanted = LIMIT;
    this.done = this.whole = false;
    this.busy = true;
    this.fresh.hidden = true;
    this.items.setAttribute("aria-busy", "true");
    this.stamp = null;
    this.context.pollWith(this.signal, () => this.address({ offset: 0, limit: LIMIT }), (page) => this.first(page),
      (page) => (page && !page.complete ? 1 : this.context.run?.live === false ? 15 : 3));
  }

  first(page) {
    this.onFacts(page);
    const rows = page.rollouts ?? page.groups;
    const stamp = JSON.stringify([rows, page.next, rows.length > 0 || page.complete]);
    const known = this.stamp;
    this.stamp = stamp;
    this.items.removeAttribute("aria-busy");
    if (known !== null && known !== stamp && this.shown > LIMIT) {
      this.fresh.textContent = "There are newer ones: show them";
      this.fresh.hidden = false;
    } else if (known !== stamp) {
      fill(this.items);
      this.shown = this.offset = 0;
      this.wanted = LIMIT;
      this.take(page);
      this.busy = false;
      this.goOn();
      return;
    }
    this.drawLine(page);
  }

  /** Show a page more; called as the end of the list comes near. */
  next() {
    if (this.busy || this.done || !this.signal) return;
    this.wanted = this.shown + LIMIT;
    this.ask();
  }

  async ask() {
    this.busy = true;
    const signal = this.signal;
    try {
      const page = await this.context.api(this.address({ offset: this.offset, limit: LIMIT }));
      if (signal.aborted) return;
      this.take(page);
    } catch (failure) {
      if (signal.aborted || failure.name === "AbortError") return;
      this.context.fail(failure);
      this.done = true;
    }
    this.busy = false;
    this.goOn();
  }

  /** A search looks through some files at a time: it goes on by itself until it has found a page. */
  goOn() {
    if (!this.done && this.isSearch() && this.shown < this.wanted) this.ask();
  }

  take(page) {
    const rows = page.rollouts ?? page.groups;
    this.items.append(...rows.map((item) => h("li", {}, page.groups ? this.group(item) : this.card(item))));
    this.shown += rows.length;
    this.offset = this.isSearch() ? page.next ?? this.offset : this.offset + rows.length;
    this.done = this.isSearch() ? page.next === null : this.offset >= page.total;
    this.whole = this.done;
    if (this.shown >= MOST_SHOWN) this.done = true;
    this.drawLine(page);
    this.more.hidden = this.done;
    if (this.shown === 0 && this.whole) {
      fill(this.items, h("li", {}, page.complete ? emptyBox(page.rows ? "None is like that" : "No rollouts yet",
        page.rows ? "No rollout fits all of the filters; take one away." : "They appear here as soon as the stage has sampled some.")
        : h("p", { class: "quiet" }, "Reading the rollouts…")));
    }
  }

  drawLine(page) {
    const what = (page.groups ? "group" : "rollout") + (page.total === 1 ? "" : "s");
    const parts = [];
    if (this.isSearch()) {
      parts.push(`${this.shown.toLocaleString("en")}${this.whole ? "" : " or more"} found`);
      if (page.searched < 1) parts.push(`${share(page.searched, 0)} searched`);
    } else parts.push(`${page.total.toLocaleString("en")} ${what}`);
    if (page.rows && !page.groups && page.total !== page.rows) parts.push(`of ${page.rows.toLocaleString("en")}`);
    if (!page.complete) parts.push(`${page.files.toLocaleString("en")} of ${page.num_files.toLocaleString("en")} files indexed so far`);
    if (this.shown >= MOST_SHOWN) parts.push(`the first ${MOST_SHOWN} are shown: narrow the filters to see others`);
    this.line.textContent = parts.join(" · ");
  }

  card(item) {
    return h("article", { class: "roll" },
      h("header", {},
        verdict(item.correct),
        h("a", { class: "roll-where", href: this.link(item) }, `${whenText(item)}, group ${item.group}, sample ${item.sample}`),
        h("span", { class: "num" }, "reward ", h("strong", {}, item.reward === null ? "none" : number(item.reward))),
        h("span", { class: "num" }, "advantage ", h("strong", {}, signed(item.advantage))),
        h("span", { class: "num" }, `${item.tokens.toLocaleString("en")} tokens`),
        item.truncated ? h("span", { class: "flag" }, "cut at the limit") : null,
        item.dropped ? h("span", { class: "flag" }, "replaced before training") : null,
        item.mixed ? h("span", { class: "flag" }, "mixed languages") : null),
      h("p", { class: "roll-question" }, item.question.trim(), " ", h("a", { class: "small", href: this.problemLink(item) }, "through time")),
      h("div", { class: item.characters > 700 ? "roll-text long" : "roll-text" }, completion(item.pieces, item.characters - item.pieces.reduce((sum, piece) => sum + piece.text.length, 0))));
  }

  group(item) {
    const right = item.samples.filter((sample) => sample.correct === true).length;
    return h("article", { class: "roll roll-group" },
      h("header", {},
        h("a", { class: "roll-where", href: this.link(item) }, `${whenText(item)}, group ${item.group}`),
        dots(item.samples),
        h("span", { class: "num" }, h("strong", {}, `${right} of ${item.samples.length}`), " right"),
        h("span", { class: "num" }, "mean reward ", h("strong", {}, number(mean(item.samples.map((s) => s.reward))))),
        h("span", { class: "num" }, `${Math.round(mean(item.samples.map((s) => s.tokens)))} tokens on average`),
        item.dropped ? h("span", { class: "flag" }, "replaced before training") : null),
      h("p", { class: "roll-question" }, item.question.trim(), " ", h("a", { class: "small", href: this.problemLink(item) }, "through time")));
  }
}

