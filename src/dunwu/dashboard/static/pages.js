// The pages. A page is a module that exports {title, mount(element, context), unmount()}:
//   title              its name in the navigation and in the window's title
//   mount(el, context) fills `el`; everything it starts ends with context.signal
//   unmount()          what `signal` does not end
// context: {route, runId, params, signal, api(path), poll(path, onData, every), stages, onRun(callback), fail(failure)}, see app.js

export const PAGES = [
  { name: "runs", scope: "all", load: () => import("./pages/runs.js") },
  { name: "compare", scope: "all", load: () => import("./pages/compare.js") },
  { name: "overview", scope: "run", load: () => import("./pages/overview.js") },
  { name: "training", scope: "run", load: () => import("./pages/training.js") },
  { name: "rollouts", scope: "run", load: () => import("./pages/rollouts.js") },
  { name: "evolution", scope: "run", load: () => import("./pages/evolution.js") },
  { name: "table", scope: "run", load: () => import("./pages/table.js") },
];
