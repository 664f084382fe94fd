"""What the page Rollouts shows: lists of rollouts, groups, one problem through time.

GET /api/runs/ID/rollouts                                  {stages: [{name, rollouts, evaluations}]}
GET /api/runs/ID/stages/STAGE/rollouts?...                 a page of rollouts, or of groups with by=group
GET /api/runs/ID/stages/STAGE/group?rollout=N&group=G      one group, whole
GET /api/runs/ID/stages/STAGE/problem?id=...               every group that answered a problem
GET /api/runs/ID/stages/STAGE/change?old=N:ROW&new=N:ROW   two completions and what changed

Everywhere, of=evaluation asks the samples of evaluations, which have labels where rollouts have numbers.
"""

from typing import Any, get_args

from starlette.requests import Request
from starlette.routing import Route

from dunwu.analysis.index_store import Snapshot
from dunwu.analysis.rollout_query import SORTS, VERDICTS, RolloutFilter, Sort, ordered, page, search
from dunwu.dashboard.errors import ApiError
from dunwu.dashboard.replies import api_route, query_int
from dunwu.dashboard.rollout_reader import Place, RolloutReader
from dunwu.errors import RunError

_MOST, _LIMIT = 200, 30
_NO_TEXT = RolloutFilter()


def routes(reader: RolloutReader) -> list[Route]:
    """Return the routes."""

    def stages(request: Request) -> Any:
        return {"stages": reader.stages(request.path_params["run"])}

    def listed(request: Request) -> Any:
        place = _place(reader, request)
        snapshot = reader.snapshot(place)
        return {**reader.facts(place, snapshot), **_listed(reader, place, snapshot, request)}

    def group(request: Request) -> Any:
        place = _place(reader, request)
        label = request.query_params.get("label", "")
        number, at = query_int(request, "rollout", 0), query_int(request, "group", 0)
        return _found(lambda: reader.group(place, number, label, at))

    def problem(request: Request) -> Any:
        place = _place(reader, request)
        snapshot = reader.snapshot(place)
        found = reader.history(place, snapshot, request.query_params.get("id", ""))
        return {**found, "complete": snapshot.complete}

    def change(request: Request) -> Any:
        place = _place(reader, request)
        snapshot = reader.snapshot(place)
        rows = (_row(reader, snapshot, request, "old"), _row(reader, snapshot, request, "new"))
        return reader.change(place, snapshot, rows)

    stage = "/api/runs/{run}/stages/{stage}"
    return [
        api_route("/api/runs/{run}/rollouts", stages),
        api_route(f"{stage}/rollouts", listed),
        api_route(f"{stage}/group", group),
        api_route(f"{stage}/problem", problem),
        api_route(f"{stage}/change", change),
    ]


def _place(reader: RolloutReader, request: Request) -> Place:
    evaluations = _one_of(request, "of", ("", "evaluation")) == "evaluation"
    return reader.place(request.path_params["run"], request.path_params["stage"], evaluations=evaluations)


def _listed(reader: RolloutReader, place: Place, snapshot: Snapshot, request: Request) -> dict[str, Any]:
    wanted = filter_of(request, snapshot)
    sort: Sort = _one_of(request, "sort", ("", *SORTS)) or "step"  # type: ignore[assignment]
    assert sort in get_args(Sort)
    descending = _one_of(request, "order", ("", "up", "down")) != "up"
    offset, limit = query_int(request, "offset", 0), query_int(request, "limit", _LIMIT, 1, _MOST)
    if wanted.text:
        part = search(snapshot, wanted, newest_first=descending, offset=offset, limit=limit)
    elif _one_of(request, "by", ("", "group")):
        rows = ordered(snapshot, wanted, sort, descending=descending)
        return reader.groups(place, snapshot, rows, offset, limit)
    else:
        part = page(snapshot, wanted, sort=sort, descending=descending, offset=offset, limit=limit)
    return {
        "total": part.total,
        "next": part.next_offset,
        "searched": part.searched,
        "rollouts": reader.cards(place, snapshot, part.rows),
    }


def filter_of(request: Request, snapshot: Snapshot) -> RolloutFilter:
    """Read a filter from an address; step=latest is the last step that is indexed.

    Raises:
        ApiError: 400, a parameter is not what it can be.
    """
    ask = request.query_params.get
    first, last = _number(request, "from", int), _number(request, "to", int)
    if (step := ask("step")) is not None:
        newest = max((fact.last_step for fact in snapshot.files), default=0)
        first = last = newest if step == "latest" else _number(request, "step", int)
    label = ask("label")
    if label:
        first = last = next((fact.first_step for fact in snapshot.files if fact.label == label), -1)
    return RolloutFilter(
        first_step=first,
        last_step=last,
        verdict=_one_of(request, "verdict", ("", *VERDICTS)),
        reward=(_number(request, "reward_from", float), _number(request, "reward_to", float)),
        tokens=(_number(request, "tokens_from", int), _number(request, "tokens_to", int)),
        language=ask("language", ""),
        kind=ask("kind", ""),
        truncated=_yes(request, "truncated"),
        word=ask("word", ""),
        mixed=_yes(request, "mixed"),
        correction=ask("correction", ""),
        dropped=_yes(request, "dropped"),
        prompt_id=ask("problem", ""),
        text=ask("text", "").strip(),
    )


def _row(reader: RolloutReader, snapshot: Snapshot, request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    source, _, inside = text.rpartition(":")
    if not inside.isdigit() or not source:
        raise ApiError(
            400, f"{name}={text} must be a rollout's number, or an evaluation's label, a colon and a row"
        )
    number, label = (int(source), "") if source.isdigit() else (0, source)
    return _found(lambda: reader.row(snapshot, number, label, int(inside)))


def _found(look: Any) -> Any:
    try:
        return look()
    except ApiError:
        raise
    except RunError as error:  # of a file that is not there (any more)
        raise ApiError(404, str(error)) from error


def _one_of(request: Request, name: str, allowed: tuple[str, ...]) -> str:
    value = request.query_params.get(name, "")
    if value not in allowed:
        raise ApiError(400, f"{name}={value} must be one of: {', '.join(filter(None, allowed))}")
    return value


def _yes(request: Request, name: str) -> bool | None:
    return {"": None, "yes": True, "no": False}[_one_of(request, name, ("", "yes", "no"))]


def _number(request: Request, name: str, kind: type[int] | type[float]) -> Any:
    text = request.query_params.get(name)
    if text in (None, ""):
        return None
    try:
        return kind(text)
    except ValueError:
        raise ApiError(400, f"{name}={text} must be a {'whole ' if kind is int else ''}number") from None
