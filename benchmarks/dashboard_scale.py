"""How quickly the dashboard opens and searches a large run: answers of its server, and pages in a browser if there is one.

    python -m benchmarks.synthetic_run RUN --steps 10000        # once: 5 million rollouts
    python -m benchmarks.dashboard_scale RUN                    # cold (no index yet), while the index is built, warm, and a copy

Prints one line for each: what was asked, and the median and the slowest of its repetitions; and what the server has used of
processor time and memory.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

SERVER = """
import sys, uvicorn
from pathlib import Path
from dunwu.dashboard.app import create_app
uvicorn.run(create_app([Path(sys.argv[1])]), port=int(sys.argv[2]), log_level="warning", lifespan="off")
"""
QUERIES: list[tuple[str, dict[str, str]]] = [
    ("newest rollouts", {}),
    ("rollouts of step 5000", {"step": "5000"}),
    ("right, with 'wait'", {"verdict": "right", "word": "wait"}),
    ("wrong, Chinese question, cut off", {"verdict": "wrong", "language": "zh", "truncated": "yes"}),
    ("longest of all", {"sort": "tokens", "order": "down"}),
    ("highest advantage, corrected itself", {"sort": "advantage", "order": "down", "correction": "any"}),
    (
        "reward 1 to 2, 100 to 200 tokens",
        {"reward_from": "1", "reward_to": "2", "tokens_from": "100", "tokens_to": "200"},
    ),
    ("groups", {"by": "group"}),
    ("page 1,001 of a sorted list", {"sort": "tokens", "order": "down", "offset": "30000"}),
    ("search: a first slice", {"text": "nowhere to be found"}),
]


class Server:
    """The dashboard over one run, in a process of its own."""

    def __init__(self, run: Path, port: int) -> None:
        self.base, self.run = f"http://127.0.0.1:{port}", run.name
        self._process = subprocess.Popen([sys.executable, "-c", SERVER, str(run), str(port)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.base}/static/pages.js").close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def ask(self, path: str, **query: str) -> tuple[float, Any]:
        """Return the seconds and the answer."""
        start = time.perf_counter()
        with urllib.request.urlopen(f"{self.base}{path}?{urllib.parse.urlencode(query)}") as reply:
            data = reply.read()
        return time.perf_counter() - start, json.loads(data)

    def used(self) -> str:
        """Say how much processor time and memory the server has used."""
        process = psutil.Process(self._process.pid)
        seconds = sum(process.cpu_times()[:2])
        return f"server: {seconds:.1f} s of processor time, {process.memory_info().rss / 1e6:.0f} MB"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def row(name: str, seconds: list[float]) -> None:
    """Print a line of the table."""
    print(
        f"{name:52} {statistics.median(seconds):8.3f} s   slowest {max(seconds):.3f} s   n={len(seconds)}",
        flush=True,
    )


def opened(server: Server) -> dict[str, float]:
    """Open four pages in Chromium; return the seconds until each shows what it is for. Empty where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    waits = {
        "overview": ".stage-row, .chain",
        "training": ".chart canvas",
        "rollouts": ".rolls .roll",
        "evolution": ".headline",
    }
    found = {}
    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for name, selector in waits.items():
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(f"{server.base}/#/run/{server.run}/{name}")
            page.wait_for_selector(selector, timeout=60_000)
            found[name] = time.perf_counter() - start
            page.close()
        browser.close()
    return found


def measure(run: Path, port: int, repeat: int) -> None:
    """Measure one server from its start: nothing is remembered before."""
    server = Server(run, port)
    try:
        stage = f"/api/runs/{server.run}/stages/r1_zero"
        for name, seconds in opened(server).items():
            row(f"browser: open {name}", [seconds])
        for name, query in QUERIES:
            row(name, [server.ask(f"{stage}/rollouts", **query)[0] for _ in range(repeat)])
        seconds, page = server.ask(f"{stage}/rollouts", limit="1")
        rollout = page["rollouts"][0]
        ask = {"rollout": str(rollout["rollout"]), "group": str(rollout["group"])}
        row("one group", [server.ask(f"{stage}/group", **ask)[0] for _ in range(repeat)])
        row(
            "one problem through time",
            [server.ask(f"{stage}/problem", id=rollout["prompt_id"])[0] for _ in range(repeat)],
        )
        row("self-evolution", [server.ask(f"{stage}/evolution")[0] for _ in range(repeat)])
        print(
            f"indexed: {page['rows']:,} rollouts, {page['files']:,} of {page['num_files']:,} files; {server.used()}",
            flush=True,
        )
    finally:
        server.stop()


def index(run: Path) -> None:
    """Build the index and say how long it took."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dunwu.analysis.index_worker", str(run), "r1_zero"], check=True)
    size = sum(path.stat().st_size for path in (run / ".analysis").rglob("*.parquet"))
    row(f"index built beside ({size / 1e6:.0f} MB)", [time.perf_counter() - start])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--port", type=int, default=7460)
    parser.add_argument("--copy", type=Path, help="Copy the run there and measure the copy, too.")
    parser.add_argument("--skip-cold", action="store_true")
    arguments = parser.parse_args()
    parts: list[tuple[str, Callable[[], None]]] = []
    if not arguments.skip_cold:
        shutil.rmtree(arguments.run / ".analysis", ignore_errors=True)
        parts += [("cold: no index, built meanwhile", lambda: measure(arguments.run, arguments.port, 1))]
    parts += [
        ("index", lambda: index(arguments.run)),
        ("warm", lambda: measure(arguments.run, arguments.port + 1, arguments.repeat)),
    ]
    if arguments.copy:
        parts.append(("a copy", lambda: measure(arguments.copy, arguments.port + 2, 1)))
    for name, part in parts:
        if name == "a copy":
            shutil.copytree(
                arguments.run, arguments.copy, copy_function=shutil.copy
            )  # the files get new times
        print(f"\n{name}", flush=True)
        part()


if __name__ == "__main__":
    main()
