"""What a step's timings say about generation and grading."""

import pytest

from dunwu.rollout.timeline import CollectTimes, grading_timings


def test_overlap_and_waiting_by_hand() -> None:
    first = CollectTimes(100.0, 100.5, 110.0, 112.0, ((102.0, 104.0), (103.0, 105.0), (109.0, 112.0)))
    refill = CollectTimes(112.0, 112.25, 115.0, 115.0, ((113.0, 115.0),))
    timings = grading_timings([first, refill])
    assert timings["generation_seconds"] == pytest.approx(13.0)
    assert timings["grading_seconds"] == pytest.approx(3.0 + 3.0 + 2.0)
    assert timings["grading_overlap_frac"] == pytest.approx((3.0 + 1.0 + 2.0) / 8.0)
    assert timings["grading_wait_seconds"] == pytest.approx(2.0)
    assert timings["timeline"] == {
        "first_token": 0.5,
        "generation": [[0.0, 10.0], [12.0, 15.0]],
        "grading": [[2.0, 5.0], [9.0, 12.0], [13.0, 15.0]],
        "waiting": [[10.0, 12.0], [15.0, 15.0]],
    }


def test_many_gradings_are_shown_as_few_intervals() -> None:
    grading = tuple((i / 10, i / 10 + 0.01) for i in range(1000))
    timings = grading_timings([CollectTimes(0.0, 0.0, 100.0, 100.0, grading)])
    assert len(timings["timeline"]["grading"]) <= 64
    assert timings["grading_seconds"] == pytest.approx(10.0)


def test_nothing_graded_has_no_share() -> None:
    assert grading_timings([]) == {}
    assert grading_timings([CollectTimes(0.0, 0.0, 1.0, 1.0, ())])["grading_overlap_frac"] is None
