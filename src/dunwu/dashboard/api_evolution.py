"""What the page Self-evolution shows: the paper's figures from a stage's rollouts, and its first aha moments.

GET /api/runs/ID/stages/STAGE/evolution     {files, num_files, complete, curves, moments, held_out}
"""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from dunwu.analysis.aha import first_moments
from dunwu.analysis.held_out_levels import held_out_by_level
from dunwu.analysis.self_evolution import evolve
from dunwu.dashboard.replies import api_route
from dunwu.dashboard.rollout_reader import RolloutReader


def routes(reader: RolloutReader) -> list[Route]:
    """Return the routes."""

    def evolution(request: Request) -> Any:
        run_id, stage = request.path_params["run"], request.path_params["stage"]
        place, held_out = reader.place(run_id, stage), reader.place(run_id, stage, evaluations=True)
        snapshot, samples = reader.snapshot(place), reader.snapshot(held_out)
        return {
            **reader.facts(place, snapshot),
            "complete": snapshot.complete and samples.complete,
            "curves": evolve(snapshot),
            "moments": first_moments(snapshot),
            "held_out": held_out_by_level(samples),
        }

    return [api_route("/api/runs/{run}/stages/{stage}/evolution", evolution)]
