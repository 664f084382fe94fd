"""What the page Training shows: the figures of one stage over its steps, as JSON for the page and as CSV to take away.

GET /api/runs/ID/stages/STAGE/series?since=STEP&epoch=E    see `series.stage_series`
GET /api/runs/ID/stages/STAGE/figures.csv                  every figure of every step
GET /api/runs/ID/stages/STAGE/profiles                     see `profiles.stage_profiles`
"""

import csv
import io
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.profiles import stage_profiles
from dunwu.dashboard.replies import api_route, error_reply, query_int
from dunwu.dashboard.series import stage_series
from dunwu.dashboard.store import RunStore


def routes(store: RunStore) -> list[Route]:
    """Return the routes."""

    def series(request: Request) -> dict[str, Any]:
        run_id, stage = request.path_params["run"], request.path_params["stage"]
        store.stage_path(run_id, stage)
        since = query_int(request, "since", 0)
        return stage_series(store.view(run_id), stage, since=since, epoch=request.query_params.get("epoch"))

    def figures(request: Request) -> Response:
        run_id, stage = request.path_params["run"], request.path_params["stage"]
        try:
            store.stage_path(run_id, stage)
            data = stage_series(store.view(run_id), stage, since=0, epoch=None)
        except ApiError as error:
            return error_reply(error.status, str(error))
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{run_id}-{stage}.csv")
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(_csv(data), media_type="text/csv; charset=utf-8", headers=headers)

    def profiles(request: Request) -> dict[str, Any]:
        run_id, stage = request.path_params["run"], request.path_params["stage"]
        store.stage_path(run_id, stage)
        return stage_profiles(store.view(run_id), stage)

    return [
        api_route("/api/runs/{run}/stages/{stage}/series", series),
        api_route("/api/runs/{run}/stages/{stage}/profiles", profiles),
        Route("/api/runs/{run}/stages/{stage}/figures.csv", figures, methods=["GET"]),
    ]


def _csv(data: dict[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = sorted(data["columns"])
    writer.writerow(["step", *names])
    columns = [data["columns"][name] for name in names]
    for index, step in enumerate(data["steps"]):
        writer.writerow([step, *("" if column[index] is None else column[index] for column in columns)])
    return out.getvalue()
