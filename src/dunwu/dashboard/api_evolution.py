"""What the page Self-evolution shows: the paper's figures from a stage's rollouts, and its first aha moments.

GET /api/runs/ID/stages/STAGE/evolution     {files, num_files, complete, curves, moments, held_out}
"""

import threading
import time
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.routing import Route

from dunwu.analysis.evolution_store import stage_evolution
from dunwu.analysis.held_out_levels import held_out_by_level
from dunwu.analysis.index_store import Snapshot
from dunwu.dashboard.replies import api_route
from dunwu.dashboard.rollout_reader import Place, RolloutReader

_REST = 20
"""Curves of a stage that grows are computed again after this many times as long as it took, so that the page keeps up with it and
a large stage does not keep a processor busy."""


class _Computed(NamedTuple):
    snapshot: Snapshot
    curves: dict[str, Any]
    until: float


class _Evolutions:
    """The last curves of each stage that somebody looks at. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Place, _Computed] = {}

    def of(self, place: Place, snapshot: Snapshot) -> _Computed:
        """Return the curves of a snapshot, or for a while those of one before it."""
        with self._lock:
            known = self._known.get(place)
            if known is not None and (known.snapshot is snapshot or time.monotonic() < known.until):
                return known
            start = time.monotonic()
            curves = stage_evolution(place.run, place.stage, snapshot)
            end = time.monotonic()
            self._known[place] = _Computed(snapshot, curves, end + _REST * (end - start))
            return self._known[place]


def routes(reader: RolloutReader) -> list[Route]:
    """Return the routes."""
    evolutions = _Evolutions()

    def evolution(request: Request) -> Any:
        run_id, stage = request.path_params["run"], request.path_params["stage"]
        place, held_out = reader.place(run_id, stage), reader.place(run_id, stage, evaluations=True)
        snapshot, samples = reader.snapshot(place), reader.snapshot(held_out)
        found = evolutions.of(place, snapshot)
        return {
            **reader.facts(place, found.snapshot),
            "num_files": snapshot.num_files,
            "complete": snapshot.complete and found.snapshot is snapshot and samples.complete,
            **found.curves,
            "held_out": held_out_by_level(samples),
        }

    return [api_route("/api/runs/{run}/stages/{stage}/evolution", evolution)]
