"""When a rollout was generated and when it was graded, for the timings of a step. Called by the RL loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dunwu.functional.intervals import Interval, merge_to, overlap, total

_MAX_INTERVALS = 64


@dataclass(frozen=True)
class CollectTimes:
    """One call of the engine and the grading of what came of it, on the clock `time.monotonic`.

    Args:
        started: the engine was called.
        first_token: the first token of any completion was there; `started` where there was none.
        generated: the last completion was there.
        graded: the last reward was there.
        grading: when at least one grading was at work, each given by its own interval.
        scored: reward models had scored everything; None where there are none.
    """

    started: float
    first_token: float
    generated: float
    graded: float
    grading: tuple[Interval, ...]
    scored: float | None = None


def grading_timings(times: Sequence[CollectTimes]) -> dict[str, Any]:
    """Return what a rollout's timings say about generation and grading; {} for no calls.

    Returns:
        generation_seconds: first call to last completion, of all calls together.
        grading_seconds: while at least one grading was at work.
        grading_overlap_frac: share of grading_seconds during generation; None where nothing took time.
        grading_wait_seconds: after generation, until the last reward was there.
        scoring_seconds: of reward models, after grading; missing where there were none.
        timeline: seconds since the first call: "first_token", and as lists of [start, end] "generation", "grading"
            (at most 64; the shortest pauses are left out) and "waiting".
    """
    if not times:
        return {}
    origin = times[0].started
    generation = [(call.started, call.generated) for call in times]
    grading = [interval for call in times for interval in call.grading]
    waiting = [(call.generated, call.graded) for call in times]
    scoring = sum(call.scored - call.graded for call in times if call.scored is not None)
    busy = total(grading)

    def shown(intervals: Sequence[Interval]) -> list[list[float]]:
        return [[round(start - origin, 3), round(end - origin, 3)] for start, end in intervals]

    return {
        "generation_seconds": total(generation),
        "grading_seconds": busy,
        "grading_overlap_frac": overlap(grading, generation) / busy if busy else None,
        "grading_wait_seconds": total(waiting),
        **({"scoring_seconds": scoring} if any(call.scored is not None for call in times) else {}),
        "timeline": {
            "first_token": round(times[0].first_token - origin, 3),
            "generation": shown(generation),
            "grading": shown(merge_to(grading, _MAX_INTERVALS)),
            "waiting": shown(waiting),
        },
    }
