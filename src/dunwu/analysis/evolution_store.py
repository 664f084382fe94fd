"""Self-evolution of a stage, kept beside its index once all of it is indexed, so that the next reader need not compute it.

Kept are `self_evolution.evolve` and `aha.first_moments`, under a checksum of what the index knows of each file: a copy of the run
brings them along, and another rollout makes them void. Called by the index worker and the dashboard.
"""

import hashlib
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from dunwu.analysis.aha import first_moments
from dunwu.analysis.index_store import Snapshot
from dunwu.analysis.rollout_index import index_folders
from dunwu.analysis.self_evolution import evolve
from dunwu.runs.derived import derived_folder
from dunwu.runs.files import write_file

_VERSION = 1
_NAME = "evolution.json"


def stage_evolution(run: Path, stage: str, snapshot: Snapshot) -> dict[str, Any]:
    """Return {curves, moments} of a stage's rollouts: what was kept if it is of these, or computed and, where it can be, kept.

    Raises:
        RunError: a rollout file that holds a moment is not there any more, or damaged.
    """
    key = _key(snapshot) if snapshot.settled else ""
    if key and (kept := _kept(run, stage, key)) is not None:
        return kept
    found = {"curves": evolve(snapshot), "moments": first_moments(snapshot)}
    if key:
        _keep(run, stage, key, found)
    return found


def _key(snapshot: Snapshot) -> str:
    facts = [(fact.number, fact.num_bytes, fact.tail, fact.num_rows) for fact in snapshot.files]
    return hashlib.sha256(to_json([_VERSION, facts])).hexdigest()


def _kept(run: Path, stage: str, key: str) -> dict[str, Any] | None:
    for folder in index_folders(run, stage):
        try:
            found = from_json((folder / _NAME).read_bytes())
        except (OSError, ValueError):
            continue  # none, or half of one: it is computed
        if isinstance(found, dict) and found.get("key") == key:
            return {"curves": found["curves"], "moments": found["moments"]}
    return None


def _keep(run: Path, stage: str, key: str, found: dict[str, Any]) -> None:
    try:
        folder = derived_folder(run) / "rollouts" / stage
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / _NAME, to_json({"key": key, **found}).decode())
    except OSError:
        return  # there is no place for it: it is computed each time
