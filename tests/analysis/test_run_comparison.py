"""Runs side by side: paired where they answered the same problems, with the intervals of each where not; damage is told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dunwu.analysis.problem_scores import problem_scores
from dunwu.analysis.run_comparison import compare_runs
from dunwu.analysis.run_comparison_text import markdown
from dunwu.config.recipe import Recipe
from dunwu.functional.paired import paired_difference
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.folder import RunFolder

RIGHT = "Wait, let me check: it is 4"


def recipe(num_steps: int = 1, **more: Any) -> Recipe:
    stage = {
        "kind": "r1_zero",
        "num_steps": num_steps,
        "task": {"kind": "world"},
        "steps_per_rollout": 1,
        **more,
    }
    return Recipe.model_validate({"name": "r", "model": {"path": "micro"}, "stages": [stage]})


def group(number: int, verdicts: Sequence[bool | None], question: str = "") -> RolloutGroup:
    rollouts = tuple(
        Rollout(
            i,
            Completion((1,) * (4 + i), (-0.5,) * (4 + i), "length" if verdict is False else "stop"),
            RIGHT if verdict else "it is 5",
            Reward(
                None if verdict is None else float(verdict),
                {
                    "accuracy": RewardPart(None, "not_gradable")
                    if verdict is None
                    else RewardPart(float(verdict)),
                    "format": RewardPart(1.0),
                    "score": RewardPart(-2.5),
                },
                "4" if verdict else "5",
            ),
        )
        for i, verdict in enumerate(verdicts)
    )
    problem = Problem(f"p{number}", "sum", question or f"What is {number}?", "4", "exact")
    return RolloutGroup(Prompt(problem, "Q", (1,)), rollouts, (None,) * len(rollouts))


def make_run(
    path: Path, verdicts: Sequence[Sequence[bool | None]], *, first: int = 0, **changes: Any
) -> Path:
    with RunFolder.open(path, recipe(**changes)) as run:
        stage = run.stage("r1_zero")
        stage.begin({})
        stage.append_metrics(1, {"rollout": 1, "accuracy": 0.5})
        groups = [group(first + number, of_problem) for number, of_problem in enumerate(verdicts)]
        stage.write_evaluation("after", {"pass_at_1": 0.5}, groups, step=1)
    return path


def rows_of(comparison: dict[str, Any], stage: str = "r1_zero") -> dict[str, Any]:
    (found,) = [of for of in comparison["stages"] if of["name"] == stage]
    return {row["key"]: row for row in found["rows"]}


def test_scores_of_problems(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a", [[True, False, True], [False, False, None], [None, None, None]])
    scores = problem_scores(RunFolder.read(path).stage("r1_zero").read_evaluation_columns("after"))
    first, second, third = (f"p{n}\nWhat is {n}?" for n in range(3))
    assert scores["accuracy"] == {first: pytest.approx(2 / 3), second: 0.0}
    assert scores["majority"] == {first: 1.0}  # of the others a sample could not be graded
    assert scores["format"] == {first: 1.0, second: 1.0, third: 1.0}
    assert scores["score"][first] == -2.5
    assert scores["checks"] == {first: pytest.approx(2 / 3), second: 0.0, third: 0.0}
    assert scores["length"] == {first: 5.0, second: 5.0, third: 5.0}
    assert scores["cut"] == {first: pytest.approx(1 / 3), second: pytest.approx(2 / 3), third: 0.0}


def test_the_same_problems_are_compared_one_by_one(tmp_path: Path) -> None:
    worse = make_run(tmp_path / "worse", [[True, False], [False, False]] * 20)
    better = make_run(tmp_path / "better", [[True, True], [False, True]] * 20)
    found = compare_runs([worse, better])
    assert [run["label"] for run in found["runs"]] == ["worse", "better"]
    assert all(run["faults"] == [] for run in found["runs"])
    row = rows_of(found)["accuracy"]
    assert row["unit"] == "share"
    assert [cell["value"] for cell in row["cells"]] == [0.25, 0.75]
    assert all(
        cell["low"] < cell["value"] < cell["high"] and cell["num_problems"] == 40 for cell in row["cells"]
    )
    expected = paired_difference(
        {str(i): (1.0, 0.5)[i % 2] for i in range(40)}, {str(i): (0.5, 0.0)[i % 2] for i in range(40)}
    )
    assert expected is not None
    first, difference = row["differences"]
    assert first is None
    assert difference == {
        "value": 0.5,
        "low": pytest.approx(expected.low),
        "high": pytest.approx(expected.high),
        "num_problems": 40,
        "paired": True,
        "seen": "higher",
    }
    assert rows_of(found)["length"]["differences"][1]["seen"] == "no difference seen"
    assert rows_of(found)["cut"]["differences"][1]["seen"] == "lower"
    assert rows_of(found)["score"]["unit"] == "number"
    assert rows_of(found)["score"]["differences"][1]["value"] == 0.0


def test_other_problems_are_compared_by_their_intervals(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", [[True, False]] * 30)
    two = make_run(tmp_path / "two", [[True, True]] * 30, first=100)
    difference = rows_of(compare_runs([one, two]))["accuracy"]["differences"][1]
    assert difference["paired"] is False
    assert difference["value"] == 0.5
    assert 0 < difference["low"] < 0.5 < difference["high"] < 1


def test_what_is_damaged_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole", [[True, False]] * 4)
    torn = make_run(tmp_path / "torn", [[True, False]] * 4)
    samples = torn / "r1_zero" / "evaluation" / "after.parquet"
    samples.write_bytes(samples.read_bytes()[:-20])
    found = compare_runs([whole, torn, tmp_path / "nowhere"])
    faults = [run["faults"] for run in found["runs"]]
    assert faults[0] == []
    assert "after.parquet cannot be read" in faults[1][0]
    assert "nowhere/recipe.toml" in faults[2][0]
    row = rows_of(found)["accuracy"]
    assert row["cells"][0]["value"] == 0.5
    assert row["cells"][1:] == [None, None]
    assert row["differences"] == [None, None, None]


def test_a_run_that_has_hardly_begun_is_compared(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "empty", recipe(num_steps=2)):
        pass
    found = compare_runs([make_run(tmp_path / "whole", [[True]]), tmp_path / "empty"])
    assert [run["faults"] for run in found["runs"]] == [[], []]
    assert [entry["key"] for entry in found["recipe"]] == ["stages.r1_zero.num_steps"]
    assert rows_of(found)["accuracy"]["cells"][1] is None
    assert "majority" not in rows_of(found)


def test_markdown_tells_figures_differences_and_recipes(tmp_path: Path) -> None:
    worse = make_run(tmp_path / "worse", [[True, False], [False, False]] * 20)
    better = make_run(tmp_path / "better", [[True, True], [False, True]] * 20, num_steps=3)
    text = markdown(compare_runs([worse, better]))
    assert text.startswith("# worse and better\n")
    assert "Differences are to worse, problem by problem; intervals: 95%, over problems." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| right answers (pass@1) |")]
    assert line.startswith("| right answers (pass@1) | 25.0% [")
    assert "| 75.0% [" in line
    assert "+50.0 points [" in line
    assert line.endswith("higher |")
    assert "| `stages.r1_zero.num_steps` | 1 | 3 |" in text
