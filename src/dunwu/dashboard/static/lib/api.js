// Asks the server. Answers carry a tag of their content: what has not changed is not sent again.

/** What went wrong, as a sentence for the reader; `status` is 0 when the server could not be reached. */
export class ApiFailure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Get JSON from the API: getJson("/api/runs"). Throws ApiFailure. */
export async function getJson(path, { signal } = {}) {
  return (await ask(path, null, signal)).data;
}

/** Build an address of the API: apiPath(["runs", id], {since: 3}); every part is escaped, null parameters are left out. */
export function apiPath(parts, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return `/api/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/**
 * Keep asking, and call `onData(data)` when the answer is a new one. `path` may be a function, asked anew each time.
 * Rests while the page is hidden. `every(data)` gives the seconds until the next question.
 * `onFailure(failure)` is called when asking fails, and with null when it works again. Ends when `signal` aborts.
 */
export function poll(path, onData, { signal, every = () => 3, onFailure = () => {} }) {
  let tag = null, last = null, asked = null, timer = null, busy = false, again = false, failed = false;

  async function turn() {
    if (busy) { again = true; return; }
    busy = true;
    clearTimeout(timer);
    const address = typeof path === "function" ? path() : path;
    if (address !== asked) { tag = null; asked = address; }
    try {
      const answer = await ask(address, tag, signal);
      if (signal.aborted) return;
      if (failed) { failed = false; onFailure(null); }
      if (answer.data !== null) {
        tag = answer.tag;
        last = answer.data;
        onData(last);
      }
    } catch (failure) {
      if (signal.aborted || failure.name === "AbortError") return;
      if (!(failure instanceof ApiFailure)) throw failure;
      failed = true;
      onFailure(failure);
    } finally {
      busy = false;
    }
    if (signal.aborted) return;
    if (again) { again = false; turn(); return; }
    if (!document.hidden) timer = setTimeout(turn, 1000 * (failed ? 3 : every(last)));
  }

  const wake = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", wake, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  turn();
  return { now: turn };
}

async function ask(path, tag, signal) {
  let reply;
  try {
    // The store of the browser is left out: the tag is kept here, with the data that it belongs to.
    reply = await fetch(path, { signal, cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiFailure("The dashboard's server does not answer; is `dunwu dashboard` still running?", 0);
  }
  if (reply.status === 304) return { data: null, tag };
  let data;
  try {
    data = await reply.json();
  } catch {
    throw new ApiFailure(`The server's answer to ${path} is not JSON (status ${reply.status})`, reply.status);
  }
  if (!reply.ok) throw new ApiFailure(data.error ?? `The server answered ${path} with status ${reply.status}`, reply.status);
  return { data, tag: reply.headers.get("ETag") };
}
