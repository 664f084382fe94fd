"""The arithmetic and the guards of the comparison with peers, on made-up figures."""

import dataclasses
import json
from pathlib import Path

import pytest
from benchmarks.results import (
    SideFigures,
    StepFigures,
    bound_seconds,
    check_same_work,
    record,
    table,
)
from benchmarks.workload import StepWorkload, text_reward


def side(name: str, seconds: list[float], *, peak: int = 1 << 30, **changes: int) -> SideFigures:
    """Steps of these lengths, half of each spent in the sampler."""
    step = StepFigures(0.0, 0.0, 1000, 1000, 90)
    steps = [dataclasses.replace(step, step_seconds=s, generation_seconds=s / 2, **changes) for s in seconds]
    return SideFigures(name, steps, peak, {"num_parameters": 7})


def test_rates_are_medians_over_the_right_time() -> None:
    ours = side("dunwu", [10.0, 40.0, 20.0])
    figures = ours.to_record()
    assert figures["median_step_seconds"] == 20.0
    assert figures["generation_tokens_per_second"] == 100.0
    assert figures["training_tokens_per_second"] == 100.0
    uneven = StepFigures(10.0, 2.0, 1000, 800, 90)
    assert uneven.generation_tokens_per_second == 500.0
    assert uneven.training_tokens_per_second == 100.0


def test_the_bound_counts_ten_flop_per_parameter_and_token() -> None:
    assert bound_seconds(num_parameters=3, completion_tokens=4, flops=60.0) == 2.0


def test_table_says_better_by_more_than_one_for_us_when_we_are_faster_and_smaller() -> None:
    lines = table(side("dunwu", [10.0], peak=1 << 30), side("TRL", [30.0], peak=2 << 30)).splitlines()
    assert lines[1].split()[-3:] == ["10.00", "30.00", "3.00x"]
    assert lines[2].split()[-3:] == ["200.00", "66.67", "3.00x"]
    assert lines[4].split()[-3:] == ["1.00", "2.00", "2.00x"]
    assert lines[-1] == "TRL steps: 30.0 s"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generated_tokens": 999}, "step 1: TRL generated 999 tokens, not 1000"),
        ({"trained_tokens": 500}, "step 1: TRL trained 500 tokens, not 1000"),
        ({"prompt_tokens": 91}, "prompt tokens per step differ"),
    ],
)
def test_other_work_is_not_compared(changes: dict[str, int], message: str) -> None:
    check_same_work(side("dunwu", [1.0]), side("TRL", [2.0]), 1000)
    with pytest.raises(ValueError, match=message):
        check_same_work(side("dunwu", [1.0]), side("TRL", [2.0], **changes), 1000)


def test_record_keeps_what_others_have_written(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    record(path, "one_vs_peer", 2.0, {"a": 1})
    record(path, "two_vs_peer", 1.23456, {"b": 2})
    record(path, "one_vs_peer", 3.0, {"a": 4})
    held = json.loads(path.read_text())
    assert held["ratios"] == {"one_vs_peer": 3.0, "two_vs_peer": 1.235}
    assert held["figures"]["one_vs_peer"]["a"] == 4
    assert held["figures"]["two_vs_peer"]["b"] == 2
    assert [p.name for p in path.parent.iterdir()] == ["latest.json"]


def test_workload_counts_and_questions() -> None:
    workload = StepWorkload("m", num_prompts=3, group_size=4, completion_tokens=5, num_steps=2)
    assert workload.num_sequences == 12
    assert workload.tokens_per_step == 60
    questions = workload.questions()
    assert len(questions) == 6
    assert questions == StepWorkload("m", num_prompts=2, num_steps=3).questions()
    for question, answer in questions:
        words = question.split()
        assert int(words[2]) + int(words[4].rstrip("?")) == int(answer)


def test_text_reward_tells_lengths_apart() -> None:
    assert text_reward("abc") == 0.003
