import json
import os
import time

import pytest

from dunwu.analysis import evolution_store, index_worker
from dunwu.analysis.evolution_store import stage_evolution
from dunwu.analysis.index_store import StageIndex

AGO = time.time_ns() - 3600 * 10**9


@pytest.fixture
def ended(run, make_rollout, make_group):
    """A stage of three rollouts that ended an hour ago; its last one corrects itself."""
    for step in range(1, 4):
        text = "<think> 7+8=16. Wait, 7+8=15. </think> <answer> 15 </answer>" if step == 3 else "so"
        path = run.rollouts(step, [make_group("p", [make_rollout(0, text, True, answer="15")])])
        os.utime(path, ns=(AGO, AGO))
    return run.path


def test_the_worker_indexes_an_ended_stage_whole_and_keeps_its_evolution(ended, monkeypatch):
    expected = stage_evolution(ended, "zero", StageIndex(ended, "zero").complete_snapshot())
    assert not (ended / ".analysis").exists()  # of files that are in no block nothing is kept
    monkeypatch.setattr(os, "nice", lambda by: 0)
    assert index_worker.main([str(ended), "zero"]) == 0
    snapshot = StageIndex(ended, "zero").indexed()
    assert snapshot.settled
    monkeypatch.setattr(evolution_store, "evolve", lambda snapshot: pytest.fail("it was computed again"))
    kept = stage_evolution(ended, "zero", snapshot)
    assert kept == json.loads(json.dumps(expected))
    assert [moment["kind"] for moment in kept["moments"]] == ["recomputed"]


def test_another_rollout_or_half_a_file_makes_it_void(ended, run, make_rollout, make_group, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda by: 0)
    index_worker.main([str(ended), "zero"])
    path = ended / ".analysis" / "rollouts" / "zero" / "evolution.json"
    before = path.read_text()
    path.write_text(before[:50])
    index = StageIndex(ended, "zero")
    assert len(stage_evolution(ended, "zero", index.indexed())["curves"]["steps"]) == 3
    assert path.read_text() == before  # and is kept again
    run.rollouts(4, [make_group("p", [make_rollout(0, "so", False)])])
    assert not index.indexed().settled
    assert len(stage_evolution(ended, "zero", index.complete_snapshot())["curves"]["steps"]) == 4


def test_of_a_stage_without_rollouts_nothing_is_kept(tmp_path):
    snapshot = StageIndex(tmp_path, "nothing").snapshot()
    assert stage_evolution(tmp_path, "nothing", snapshot)["curves"]["steps"] == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_for_it_it_is_computed(ended, monkeypatch):
    index_worker.build(ended, "zero")
    monkeypatch.setattr(evolution_store, "derived_folder", lambda run: (_ for _ in ()).throw(OSError("full")))
    assert len(stage_evolution(ended, "zero", StageIndex(ended, "zero").indexed())["curves"]["steps"]) == 3
