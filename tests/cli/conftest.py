from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from dunwu.cli.main import app
from dunwu.config.recipe import Recipe
from dunwu.pipeline.lineage import read_inputs
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache


def build_rollout(index: int, text: str, *, right: bool | None, truncated: bool = False) -> Rollout:
    accuracy = RewardPart(None, "not_gradable", "no number") if right is None else RewardPart(float(right))
    reward = Reward(None if right is None else float(right), {"accuracy": accuracy}, "7" if right else None)
    completion = Completion((1,) * len(text), (-0.5,) * len(text), "length" if truncated else "stop")
    return Rollout(index, completion, text, reward)


def build_group(
    number: int, *verdicts: bool | None, text: str = "<think>hm</think>", opened: bool = False
) -> RolloutGroup:
    """A group with one rollout per verdict; the last one is cut at the limit."""
    problem = Problem(f"p{number}", "sum", f"What is {number} + 1 [red]?", str(number + 1), "exact")
    rollouts = tuple(
        build_rollout(i, f"{text} #{i}", right=right, truncated=i == len(verdicts) - 1)
        for i, right in enumerate(verdicts)
    )
    prompt = Prompt(problem, "Q: <think>" if opened else "Q:", (1, 2))
    return RolloutGroup(prompt, rollouts, tuple(None if right is None else right - 0.5 for right in verdicts))


@pytest.fixture
def make_group() -> Callable[..., RolloutGroup]:
    return build_group


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Runs a command line in this process; the result has exit_code, stdout and stderr."""
    runner = CliRunner()

    def invoke(*arguments: Any, **options: Any) -> Result:
        return runner.invoke(app, [str(argument) for argument in arguments], **options)

    return invoke


@pytest.fixture
def recipe() -> Recipe:
    stage = {"kind": "r1_zero", "task": {"kind": "world"}, "num_steps": 4, "steps_per_rollout": 2}
    stage |= {"sampling": {"max_new_tokens": 64}, "prompts_per_step": 2, "group_size": 4}
    return Recipe.model_validate({"name": "test", "model": {"path": "micro"}, "stages": [stage]})


@pytest.fixture
def finished_run(tmp_path: Path, recipe: Recipe) -> Path:
    """A run of two rollouts with two steps each, evaluated before and after, with a model folder."""
    path = tmp_path / "run"
    with RunFolder.open(path, recipe) as run:
        stage = run.stage("r1_zero")
        stage.begin(read_inputs(recipe.stages[0], run, HashCache(None)).reads)
        stage.write_evaluation(
            "before", {}, [build_group(1, False, False), build_group(2, True, True)], step=0
        )
        for index, first in ((1, 1), (2, 3)):
            groups = [build_group(index * 10, True, False, None), build_group(index * 10 + 1, False, False)]
            dropped = [build_group(index * 10 + 2, False, False)]
            stage.write_rollouts(index, groups, first_step=first, last_step=first + 1, dropped=dropped)
            for step in (first, first + 1):
                stage.append_metrics(step, {"reward": step / 4, "accuracy": step / 8, "kl": None})
                stage.append_timings(step, {"wall_seconds": 1.0})
        stage.write_evaluation("after", {}, [build_group(1, True, True), build_group(2, True, True)], step=4)
        stage.save_model(lambda folder: (folder / "config.json").write_text("{}"))
        figures = {
            "pass_at_1": 0.25,
            "pass_at_1_interval": [0.2, 0.3],
            "cons_at_4": 0.5,
            "length_mean": 20.25,
        }
        after = {**figures, "pass_at_1": 0.875, "length_mean": None}
        record = {
            "name": "r1_zero",
            "before": figures,
            "after": after,
            "num_problems": 2,
            "wall_seconds": 95.0,
        }
        stage.finish(record)
        run.write_summary()
    return path


@pytest.fixture
def console() -> Console:
    """A console without colours; `console.file.getvalue()` is what it printed."""
    return Console(file=StringIO(), width=120, color_system=None)
