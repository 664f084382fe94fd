// The shell: header, navigation, and which page is shown. Pages are listed in pages.js.

import { getJson, poll } from "./lib/api.js";
import { fill, h } from "./lib/dom.js";
import { failureBox, stateMark } from "./lib/parts.js";
import { href, readRoute } from "./lib/route.js";
import { enso, themeSwitch } from "./lib/shell.js";
import { PAGES } from "./pages.js";

const main = document.getElementById("main");
const notice = document.getElementById("notice");
const titles = new Map();
let shown = null; // {key, page, controller, context}

async function show() {
  const route = readRoute();
  const entry = PAGES.find((page) => page.name === route.name && (page.scope === "run") === (route.runId !== null));
  const key = `${route.runId ?? ""}/${route.name}?${route.params}`;
  if (shown?.key === key) return;
  leave();
  const controller = new AbortController();
  shown = { key, controller, page: null };
  const mine = shown;
  drawHeader(route);
  if (!entry) {
    document.title = "Not found · dunwu";
    fill(main, failureBox(`There is no page at ${location.hash}.`, h("a", { href: href("runs") }, "All runs")));
    return;
  }
  const context = makeContext(route, controller.signal);
  shown.context = context;
  try {
    const page = (await entry.load()).default;
    if (mine !== shown) return;
    titles.set(entry.name, page.title);
    shown.page = page;
    document.title = [page.title, route.runId, "dunwu"].filter(Boolean).join(" · ");
    const body = h("div", { class: `page page-${entry.name}` });
    fill(main, body);
    await page.mount(body, context);
  } catch (error) {
    if (mine !== shown || error.name === "AbortError") return;
    console.error(error);
    fill(main, failureBox(`The page could not be shown: ${error.message}`));
  }
}

function leave() {
  if (!shown) return;
  shown.controller.abort();
  shown.page?.unmount?.();
  shown = null;
}

function makeContext(route, signal) {
  const listeners = new Set();
  const fail = (failure) => showNotice(failure);
  const context = {
    route, runId: route.runId, params: route.params, signal, fail,
    run: null, // the answer of /api/runs/ID, once it is there
    api: (path) => getJson(path, { signal }),
    poll: (path, onData, every = () => pace(context)) => poll(path, onData, { signal, every, onFailure: fail }),
    // The same, until `own` aborts: for what changes while the page stays. Make it with AbortSignal.any([context.signal, ...]).
    pollWith: (own, path, onData, every = () => pace(context)) => poll(path, onData, { signal: own, every, onFailure: fail }),
    // Calls back with the run now, if it is known, and whenever it has changed.
    onRun: (callback) => {
      listeners.add(callback);
      if (context.run) callback(context.run);
    },
  };
  if (route.runId !== null) {
    poll(`/api/runs/${encodeURIComponent(route.runId)}`, (run) => {
      context.run = run;
      drawState(run);
      for (const callback of listeners) callback(run);
    }, {
      signal, every: (run) => (run?.live ? 2 : 10),
      onFailure: (failure) => {
        if (failure?.status === 404) fill(main, failureBox(failure.message, h("a", { href: href("runs") }, "All runs")));
        else showNotice(failure);
      },
    });
  }
  return context;
}

/** Seconds between two questions: a run that is being written is asked often. */
function pace(context) {
  return context.run?.live === false ? 15 : 2;
}

function showNotice(failure) {
  fill(notice, failure ? h("div", { class: "notice" }, failure.message) : null);
}

const NAMES = { overview: "Chain", training: "Training", rollouts: "Rollouts", evolution: "Self-evolution", table: "Stage table" };

function drawHeader(route) {
  showNotice(null);
  const tabs = route.runId === null ? [] : PAGES.filter((page) => page.scope === "run");
  fill(document.getElementById("top"),
    h("div", { class: "top-in" },
      h("a", { class: "brand", href: href("runs"), "aria-label": "dunwu: all runs" }, enso(), h("span", {}, "dunwu")),
      route.runId === null ? null : h("div", { class: "where" },
        h("span", { class: "slash", "aria-hidden": "true" }, "/"),
        h("a", { class: "run-name", href: href("overview", route.runId) }, route.runId),
        h("span", { id: "run-state" })),
      tabs.length ? h("nav", { class: "tabs", "aria-label": "Pages of the run" }, tabs.map((page) =>
        h("a", { href: href(page.name, route.runId, keep(route)), "aria-current": page.name === route.name ? "page" : null },
          NAMES[page.name] ?? titles.get(page.name) ?? page.name))) : null,
      h("div", { class: "top-end" }, themeSwitch())));
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** What stays chosen from page to page. */
function keep(route) {
  return { stage: route.params.get("stage") };
}

function drawState(run) {
  const place = document.getElementById("run-state");
  if (!place) return;
  fill(place, stateMark(run.state));
  const stage = readRoute().params.get("stage");
  for (const link of document.querySelectorAll(".tabs a")) {
    const name = link.getAttribute("href").split("?")[0].split("/").pop();
    link.setAttribute("href", href(name, run.id, { stage }));
  }
}

addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
show();
