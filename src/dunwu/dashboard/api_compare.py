"""What the page Compare shows: runs side by side, with the differences of their figures and recipes.

GET /api/compare?runs=ID,ID    `analysis.run_comparison.compare_runs`, each run with its id
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from dunwu.analysis.run_comparison import compare_runs
from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.replies import api_route
from dunwu.dashboard.store import RunStore

_MOST = 6


def routes(store: RunStore) -> list[Route]:
    """Return the routes."""
    known: dict[tuple[str, ...], tuple[Any, dict[str, Any]]] = {}
    lock = threading.Lock()

    def compare(request: Request) -> dict[str, Any]:
        ids = tuple(dict.fromkeys(filter(None, request.query_params.get("runs", "").split(","))))
        if not 2 <= len(ids) <= _MOST:
            raise ApiError(
                400, f"runs={','.join(ids)} must name 2 to {_MOST} runs; choose them on the page Runs"
            )
        paths = [store.path(run_id) for run_id in ids]
        state = [tuple(_state(path)) for path in paths]
        with lock:  # one at a time: it reads the samples of every evaluation
            if ids not in known or known[ids][0] != state:
                known.clear()
                compared = compare_runs(paths)
                for run, run_id in zip(compared["runs"], ids, strict=True):
                    run["id"] = run_id
                known[ids] = (state, compared)
            return known[ids][1]

    return [api_route("/api/compare", compare)]


def _state(path: Path) -> Iterator[tuple[str, int, int]]:
    """What changes when a comparison would come out different: the recipe, stages that end, and evaluations."""
    for file in (path / "recipe.toml", path / "events.jsonl", *sorted(path.glob("*/evaluation"))):
        try:
            facts = file.stat()
        except OSError:
            continue
        yield file.name, facts.st_mtime_ns, facts.st_size
