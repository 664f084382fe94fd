"""How often the curves of a stage that grows are computed."""

from pathlib import Path
from typing import Any

import pytest

from dunwu.dashboard import api_evolution
from dunwu.dashboard.rollout_reader import Place


def test_curves_of_a_stage_that_grows_rest_for_twenty_times_as_long_as_they_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, computed = [100.0], []

    def compute(run: Path, stage: str, snapshot: Any) -> dict[str, Any]:
        now[0] += 2.0
        computed.append(snapshot)
        return {"curves": snapshot}

    monkeypatch.setattr(api_evolution, "stage_evolution", compute)
    monkeypatch.setattr(api_evolution.time, "monotonic", lambda: now[0])
    evolutions, place = api_evolution._Evolutions(), Place("run", Path("run"), "zero", False)
    snapshots: list[Any] = ["first", "second", "third"]
    assert evolutions.of(place, snapshots[0]).curves == {"curves": "first"}
    now[0] += 39.0
    assert evolutions.of(place, snapshots[1]).snapshot == "first"
    now[0] += 2.0
    assert evolutions.of(place, snapshots[1]).snapshot == "second"
    now[0] += 1000.0
    assert evolutions.of(place, snapshots[1]).snapshot == "second"  # nothing new: nothing to compute
    assert evolutions.of(place, snapshots[2]).snapshot == "third"
    assert computed == snapshots
    other = Place("run", Path("run"), "other", False)
    assert evolutions.of(other, snapshots[0]).snapshot == "first"  # each stage for itself
