"""The dashboard's web application: the pages under `/`, what they show under `/api/`. Reads run folders only.

Each file api_*.py exports `routes(store)`. Called by `dunwu dashboard` and by tests.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dunwu.dashboard import api_compare, api_evolution, api_rollouts, api_runs, api_table, api_training
from dunwu.dashboard.guard import Guard
from dunwu.dashboard.replies import error_reply
from dunwu.dashboard.rollout_reader import RolloutReader
from dunwu.dashboard.store import RunStore

STATIC = Path(__file__).parent / "static"


def create_app(runs: Sequence[Path], *, hosts: Collection[str] = (), any_address: bool = False) -> Starlette:
    """Make the application.

    Args:
        runs: run folders, or folders that hold some.
        hosts, any_address: which Host headers are answered beside loopback's, see `guard.Guard`.
    """
    store = RunStore(runs)
    reader = RolloutReader(store)
    return Starlette(
        routes=[
            Route("/", _index, methods=["GET"]),
            *api_runs.routes(store),
            *api_training.routes(store),
            *api_table.routes(store),
            *api_compare.routes(store),
            *api_rollouts.routes(reader),
            *api_evolution.routes(reader),
            Route("/api/{rest:path}", _unknown, methods=["GET"]),
            Mount("/static", _Files(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=tuple(hosts), any_address=any_address)],
    )


def _index(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


def _unknown(request: Request) -> Response:
    return error_reply(404, f"there is nothing at {request.url.path}")


class _Files(StaticFiles):
    """Static files that a browser asks about each time, so that a new version of dunwu is never shown by old scripts."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response
