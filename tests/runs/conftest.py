from collections.abc import Callable
from pathlib import Path

import pytest

from dunwu.config.recipe import Recipe
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.folder import RunFolder


def build_recipe(**changes) -> Recipe:
    stage = {"kind": "r1_zero", "task": {"kind": "world"}, "num_steps": 16, **changes}
    return Recipe.model_validate({"name": "test", "model": {"path": "micro"}, "stages": [stage]})


def build_group(number: int = 1, *, size: int = 2) -> RolloutGroup:
    """A group whose second rollout could not be graded and is cut off."""
    problem = Problem(f"p{number}", "sum", "1 + 1 = [bold]?", "2", "exact", "zh")
    rollouts = [
        Rollout(
            sample_index=i,
            completion=Completion((10 + i, 0), (-0.5 - number, -0.25), "stop" if i == 0 else "length"),
            text=f"顿悟 {i}",
            reward=Reward(1.25, {"accuracy": RewardPart(1.0), "format": RewardPart(0.25, detail="late")}, "2")
            if i == 0
            else Reward(None, {"accuracy": RewardPart(None, "not_gradable", "no number")}),
        )
        for i in range(size)
    ]
    return RolloutGroup(Prompt(problem, "Q: 1 + 1", (1, 2, 3)), tuple(rollouts), (0.5, *[None] * (size - 1)))


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    return build_recipe


@pytest.fixture
def make_group() -> Callable[..., RolloutGroup]:
    return build_group


@pytest.fixture
def recipe() -> Recipe:
    return build_recipe()


@pytest.fixture
def run(tmp_path: Path, recipe: Recipe):
    with RunFolder.open(tmp_path / "run", recipe) as folder:
        yield folder
