"""What the pages Runs and Chain show: every run and how it stands, one run's stages.

GET /api/runs             {runs: [{id, ...}], roots: [...]}
GET /api/runs/ID          one run: `RunView.overview` and what ails its stages
"""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from dunwu.dashboard.replies import api_route
from dunwu.dashboard.run_view import RunView
from dunwu.dashboard.series import stage_diagnoses
from dunwu.dashboard.store import RunStore


def routes(store: RunStore) -> list[Route]:
    """Return the routes."""

    def all_runs(request: Request) -> dict[str, Any]:
        runs = [_run(entry.id, store.view(entry.id)) for entry in store.runs()]
        return {"roots": [str(root) for root in store.roots], "runs": runs}

    def one_run(request: Request) -> dict[str, Any]:
        run_id = request.path_params["run"]
        return _run(run_id, store.view(run_id))

    return [api_route("/api/runs", all_runs), api_route("/api/runs/{run}", one_run)]


def _run(run_id: str, view: RunView) -> dict[str, Any]:
    run = view.overview()
    for stage in run["stages"]:
        with view.lock:
            found, faults = stage_diagnoses(view, stage["name"])
        stage["diagnoses"] = [
            {key: one[key] for key in ("name", "when", "ended", "evidence")} for one in found
        ]
        run["faults"] += faults
    return {"id": run_id, **run}
