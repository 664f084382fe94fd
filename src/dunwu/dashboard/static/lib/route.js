// Addresses of pages: #/runs, #/run/ID/training?stage=r1_zero. What a reader chose is in the address, so that it can be sent on.

/** Read the address: {name: "training", runId: "quickstart" | null, params: URLSearchParams}. */
export function readRoute(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decode);
  const params = new URLSearchParams(query);
  if (parts[0] === "run" && parts[1]) return { name: parts[2] ?? "overview", runId: parts[1], params };
  return { name: parts[0] ?? "runs", runId: null, params };
}

/** Write an address: href("training", "quickstart", {stage: "sft"}). */
export function href(name, runId = null, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const text = query.toString();
  return `#/${runId === null ? name : `run/${encodeURIComponent(runId)}/${name}`}${text ? `?${text}` : ""}`;
}

/** Change parameters of the address without leaving the page: setParams({stage: "sft", group: null}). */
export function setParams(changes) {
  const route = readRoute();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") route.params.delete(name);
    else route.params.set(name, String(value));
  }
  history.replaceState(null, "", href(route.name, route.runId, Object.fromEntries(route.params)));
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
