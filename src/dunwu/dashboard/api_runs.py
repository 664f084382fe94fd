"""What the pages Runs and Chain show: every run and how it stands, one run's stages.

GET /api/runs             {runs: [{id, ...}], roots: [...]}
GET /api/runs/ID          one run, as `RunView.overview` says it
"""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from dunwu.dashboard.replies import api_route
from dunwu.dashboard.store import RunStore


def routes(store: RunStore) -> list[Route]:
    """Return the routes."""

    def all_runs(request: Request) -> dict[str, Any]:
        runs = [{"id": entry.id, **store.view(entry.id).overview()} for entry in store.runs()]
        return {"roots": [str(root) for root in store.roots], "runs": runs}

    def one_run(request: Request) -> dict[str, Any]:
        run_id = request.path_params["run"]
        return {"id": run_id, **store.view(run_id).overview()}

    return [api_route("/api/runs", all_runs), api_route("/api/runs/{run}", one_run)]
