import numpy as np
import pytest

from dunwu.analysis.aha import first_moments
from dunwu.analysis.held_out_levels import held_out_by_level
from dunwu.analysis.index_store import StageIndex
from dunwu.analysis.self_evolution import Evolution, evolve, onsets

WRONG_THEN_RIGHT = "<think> 7+8=16. Wait, 7+8=15. </think> <answer> 15 </answer>"


def snapshot_of(run, **options):
    return StageIndex(run.path, "zero", **options).complete_snapshot()


@pytest.fixture
def learning(run, make_rollout, make_group):
    """Twenty steps; one problem at each step, each met twice. From step 11 on half of the completions say wait."""
    for step in range(1, 21):
        waits = step > 10
        rollouts = [
            make_rollout(0, "wait " * 3 if waits else "so", True, tokens=step),
            make_rollout(1, "wait" if waits else "so", step > 10, tokens=step),
            make_rollout(2, "so", step > 15, tokens=2 * step),
            make_rollout(3, "so", False, tokens=2 * step, cut=step == 20),
        ]
        problem = (step - 1) % 10
        run.rollouts(step, [make_group(f"p{problem}", rollouts, kind="even" if step % 2 == 0 else "odd")])
    return snapshot_of(run)


def test_curves_by_step(learning):
    found = evolve(learning)
    assert found["steps"] == [(step, step) for step in range(1, 21)]
    assert found["completions"] == [4] * 20
    assert found["words"]["wait"] == [0.0] * 10 + [1000.0] * 10
    assert found["words"]["验算"] == [0.0] * 20
    assert found["reflects"] == [0.0] * 10 + [0.5] * 10
    assert found["length"]["mean"][9] == 15
    assert found["length"]["right"][0] == 1
    assert found["length"]["wrong"][0] == pytest.approx(5 / 3)
    assert found["length"]["median"][9] == 15
    assert found["truncated"] == [0.0] * 19 + [0.25]
    assert found["accuracy"] == [0.25] * 10 + [0.5] * 5 + [0.75] * 5
    assert found["accuracy_by_kind"]["even"][0] is None
    assert found["accuracy_by_kind"]["even"][1] == 0.25
    assert found["right_if_reflects"] == [None] * 10 + [1.0] * 10
    assert found["right_if_not"][10] == 0.0


def test_levels_are_told_by_the_first_meeting_which_does_not_count(learning):
    levels = evolve(learning)["accuracy_by_level"]
    assert list(levels) == ["under half right at first"]
    assert levels["under half right at first"] == [None] * 10 + [0.5] * 5 + [0.75] * 5


def test_reflection_is_compared_within_groups(learning):
    found = evolve(learning)["reflection_pays"]
    assert found["groups"] == 10
    assert found["mean"] == pytest.approx((5 * 1.0 + 5 * 0.5) / 10)
    assert found["low"] < 0.75 < found["high"]


def test_a_word_that_rises_has_an_onset_and_one_that_does_not_has_none(learning):
    found = {onset["word"]: onset for onset in evolve(learning)["onsets"]}
    assert list(found) == ["wait"]
    assert (found["wait"]["step"], found["wait"]["total"], found["wait"]["growth"]) == (11, 40, None)
    steps = [(i, i) for i in range(100)]
    counts = np.zeros((100, 20), np.int64)
    counts[:, 0] = np.random.default_rng(0).poisson(5, 100)  # steady
    counts[:, 1] = np.where(np.arange(100) == 50, 90, 2)  # one outlier
    counts[:, 2] = np.where(np.arange(100) < 60, 4, 30)
    by_word = {onset.word: onset for onset in onsets(steps, counts, np.full(100, 50.0))}
    assert by_word["wait"].step is None
    assert by_word["mistake"].step is None
    assert by_word["however"].step == 60
    assert by_word["however"].growth == pytest.approx(7.5)


def test_many_steps_are_put_into_bins_that_lose_nothing(learning):
    curves = Evolution(learning, max_bins=7)
    assert curves.num_bins == 7
    assert curves.count.sum() == 80
    assert curves.word_counts().sum() == 40
    assert curves.steps()[0][0] == 1
    assert curves.steps()[-1][1] == 20
    assert all(a[1] < b[0] for a, b in zip(curves.steps(), curves.steps()[1:], strict=False))


def test_nothing_yet_gives_empty_curves(tmp_path):
    snapshot = StageIndex(tmp_path, "zero").complete_snapshot()
    found = evolve(snapshot)
    assert found["steps"] == []
    assert found["onsets"] == []
    assert found["accuracy_by_level"] == {}
    assert first_moments(snapshot) == []
    assert held_out_by_level(snapshot) == {"evaluations": [], "levels": []}


def test_the_first_aha_comes_with_evidence(run, make_rollout, make_group):
    for step in range(1, 11):
        text = WRONG_THEN_RIGHT if step >= 6 else "7+8=16"
        members = [
            make_rollout(0, text, step >= 6, answer="15"),
            *(make_rollout(i, "no idea", False) for i in (1, 2, 3)),
        ]
        run.rollouts(step, [make_group(f"p{step}", members, reference="15")])
    moments = first_moments(snapshot_of(run))
    assert [moment["step"] for moment in moments] == [6, 7, 8, 9]
    first = moments[0]
    assert first["kind"] == "recomputed"
    assert first["reason"] == "7+8 is 15, not 16"
    assert {piece["turn"]: piece["text"] for piece in first["pieces"]}["wrong"] == "7+8=16"
    assert first["evidence"]["group_right"] == 0.25
    assert first["evidence"]["completions_before"] == 20
    assert first["evidence"]["share_before"] == 0
    assert (first["evidence"]["share_start"], first["evidence"]["share_end"]) == (0, 0.25)
    assert first["evidence"]["helped"] == 1
    assert any("Arithmetic proves it" in text for text in first["for"])
    assert any("hard" in text for text in first["for"])
    assert first["against"] == []


def test_what_was_there_from_the_start_is_said_to_be(run, make_rollout, make_group):
    for step in (1, 2, 3):
        members = [make_rollout(i, WRONG_THEN_RIGHT, i != 3, answer="15") for i in range(5)]
        run.rollouts(step, [make_group(f"p{step}", members, reference="15")])
    against = first_moments(snapshot_of(run), per_kind=1)[0]["against"]
    assert any("before anything was learned" in text for text in against)
    assert any("from the start" in text for text in against)
    assert any("easy by then" in text for text in against)


def test_a_self_correction_that_ended_wrong_is_no_moment(run, make_rollout, make_group):
    run.rollouts(1, [make_group("p", [make_rollout(0, WRONG_THEN_RIGHT, False, answer="15")])])
    assert first_moments(snapshot_of(run)) == []


def test_held_out_levels_count_other_samples_than_those_that_told_them(run, make_rollout, make_group):
    def groups(verdicts):
        return [
            make_group(f"p{i}", [make_rollout(j, "x", right) for j, right in enumerate(row)])
            for i, row in enumerate(verdicts)
        ]

    run.evaluation("before", 0, groups([[False, True] * 4, [True, False] * 4]))  # even samples tell the level
    run.evaluation("after", 9, groups([[True] * 8, [False] * 8]))
    found = held_out_by_level(snapshot_of(run, evaluations=True))
    assert [evaluation["label"] for evaluation in found["evaluations"]] == ["before", "after"]
    by_level = {level["level"]: [point["mean"] for point in level["points"]] for level in found["levels"]}
    assert by_level == {"never right at first": [1.0, 1.0], "nearly always right at first": [0.0, 0.0]}
    assert found["levels"][0]["points"][0]["problems"] == 1
