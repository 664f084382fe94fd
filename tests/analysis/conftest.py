import pytest

from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.rollout_table import StoredRollouts, write_table


def rollout(index, text, right, *, reward=None, answer=None, cut=False, tokens=None):
    """A rollout with as many tokens as words; right is True, False or None (not graded)."""
    count = tokens if tokens is not None else max(1, len(text.split()))
    part = (
        RewardPart(None, "not_gradable", "the reference cannot be read")
        if right is None
        else RewardPart(float(right), "ok", "as graded")
    )
    return Rollout(
        index,
        Completion(tuple(range(count)), (-0.5,) * count, "length" if cut else "stop"),
        text,
        Reward(
            (float(right) if reward is None else reward) if right is not None else None,
            {"accuracy": part},
            answer,
        ),
    )


def group(
    problem_id, rollouts, *, question="What is 2 + 2?", language="en", kind="sum", reference="4", prompt="Q: "
):
    problem = Problem(problem_id, kind, question, reference, "numeric", language)
    advantages = tuple(None if r.reward.total is None else r.reward.total - 0.5 for r in rollouts)
    return RolloutGroup(Prompt(problem, prompt + question, (1, 2)), tuple(rollouts), advantages)


class RunMaker:
    """Writes rollout files as training writes them, without a recipe."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def rollouts(self, index, groups, *, stage="zero", steps=None, dropped=()):
        first, last = steps or (index, index)
        return self._write(
            self.path / stage / "rollouts" / f"rollout-{index:06d}.parquet",
            index,
            first,
            last,
            groups,
            dropped,
        )

    def evaluation(self, label, step, groups, *, stage="zero"):
        path = self._write(self.path / stage / "evaluation" / f"{label}.parquet", 0, step, step, groups, ())
        path.with_suffix(".json").write_text(f'{{"step": {step}}}')
        return path

    def _write(self, path, index, first, last, groups, dropped):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, StoredRollouts(index, first, last, tuple(groups), tuple(dropped)))
        return path


@pytest.fixture
def run(tmp_path):
    return RunMaker(tmp_path / "run")


@pytest.fixture
def make_rollout():
    return rollout


@pytest.fixture
def make_group():
    return group
