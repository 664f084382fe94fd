"""Curves of a run: a picture of what is in the run folder, an error where nothing is."""

from pathlib import Path

import pytest

from dunwu.analysis.curves import draw_curves
from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder

RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "model": {"path": "micro"},
        "stages": [{"kind": "r1_zero", "num_steps": 16, "task": {"kind": "world"}}],
    }
)


def make_run(path: Path, num_steps: int, **others: float) -> None:
    with RunFolder.open(path, RECIPE) as run:
        stage = run.stage("r1_zero")
        for step in range(1, num_steps + 1):
            accuracy = step / 20
            metrics = {"reward": 1 + accuracy, "accuracy": accuracy, "kl": None, "length_mean": 10 + step}
            stage.append_metrics(step, {**metrics, **others})
        figures = {
            "pass_at_1": 0.3,
            "pass_at_1_interval": [0.25, 0.36],
            "cons_at_4": 0.5,
            "cons_at_4_interval": [0.4, 0.6],
        }
        stage.write_evaluation("before", figures, [], step=0)


def test_a_picture_is_drawn_and_is_the_same_each_time(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 16)
    (first,) = draw_curves(RunFolder.read(tmp_path / "run"), tmp_path / "a" / "one.png")
    (second,) = draw_curves(RunFolder.read(tmp_path / "run"), tmp_path / "two.png")
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == second.read_bytes()


def test_the_picture_shows_the_metrics(tmp_path: Path) -> None:
    make_run(tmp_path / "short", 3)
    make_run(tmp_path / "long", 16)
    (short,) = draw_curves(RunFolder.read(tmp_path / "short"), tmp_path / "short.png")
    (long,) = draw_curves(RunFolder.read(tmp_path / "long"), tmp_path / "long.png")
    assert short.read_bytes() != long.read_bytes()


def test_every_part_of_the_reward_is_drawn_whatever_its_name(tmp_path: Path) -> None:
    drawn = []
    for number, parts in enumerate(
        [{}, {"reward_mine": 0.4, "reward_mine_ok": 8}, {"reward_mine.half": 0.2, "reward_mine.half_ok": 8}]
    ):
        make_run(tmp_path / f"run{number}", 16, **parts)
        (path,) = draw_curves(RunFolder.read(tmp_path / f"run{number}"), tmp_path / f"{number}.png")
        drawn.append(path.read_bytes())
    none, part, part_of_a_part = drawn
    assert part != none
    assert part_of_a_part == none


def test_a_bound_that_rounding_puts_on_the_wrong_side_is_drawn(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 2)
    with RunFolder.open(tmp_path / "run", RECIPE) as run:
        figures = {
            "pass_at_1": 1.0,
            "pass_at_1_interval": [0.9, 1.0 - 1e-16],
            "cons_at_4": 0.5,
            "cons_at_4_interval": [0.4, 0.6],
        }
        run.stage("r1_zero").write_evaluation("after", figures, [], step=2)
    assert draw_curves(RunFolder.read(tmp_path / "run"), tmp_path / "x.png")


def test_a_run_without_steps_is_an_error(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 0)
    with pytest.raises(RunError, match="no finished step"):
        draw_curves(RunFolder.read(tmp_path / "run"), tmp_path / "x.png")
