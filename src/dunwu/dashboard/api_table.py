"""What the page Stage table shows: the comparison of a run's models, as the stage wrote it.

GET /api/runs/ID/table?stage=NAME    {stages, stage, table, faults}; without a stage the last comparison that is there
"""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.replies import api_route
from dunwu.dashboard.store import RunStore

_FILE = "comparison.json"


def routes(store: RunStore) -> list[Route]:
    """Return the routes."""

    def table(request: Request) -> dict[str, Any]:
        run_id, wanted = request.path_params["run"], request.query_params.get("stage")
        view = store.view(run_id)
        stages = [
            stage
            for stage in view.overview()["stages"]
            if stage["kind"] == "comparison" or stage["has_table"]
        ]
        names = [stage["name"] for stage in stages]
        if wanted and wanted not in names:
            raise ApiError(
                404, f"the run {run_id!r} has no comparison {wanted!r}; it has {', '.join(names) or 'none'}"
            )
        finished = [stage["name"] for stage in stages if stage["has_table"]]
        name = wanted or (finished or names or [None])[-1]
        data, fault = view.json(name, _FILE) if name else (None, None)
        if data is not None and not _is_table(data):
            data, fault = None, f"{view.path / str(name) / _FILE} is not a stage table"
        return {"stages": names, "stage": name, "table": data, "faults": [fault] if fault else []}

    return [api_route("/api/runs/{run}/table", table)]


def _is_table(data: Any) -> bool:
    """Whether the page can show it: rows with a cell for each column."""
    if not isinstance(data, dict) or not all(
        isinstance(data.get(k), list) for k in ("columns", "rows", "findings")
    ):
        return False
    count = len(data["columns"])
    return all(isinstance(c, dict) and "label" in c for c in data["columns"]) and all(
        isinstance(row, dict) and isinstance(row.get("cells"), list) and len(row["cells"]) == count
        for row in data["rows"]
    )
