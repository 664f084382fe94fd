"""The one-page example runs, fits on its page, and samples with the log-probs that it trains on."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from dunwu.config.task import R1ZeroTemplate, WorldTask
from dunwu.data.tasks import load_problems
from dunwu.data.templates import render
from dunwu.models.loading import resolve_model
from dunwu.records import Problem, Reward, RewardPart

EXAMPLE = Path(__file__).parents[2] / "examples" / "minimal_grpo.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("minimal_grpo", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.MAX_NEW_TOKENS = 16
    module.MICRO_BATCH = 3
    return module


def test_it_fits_on_its_page() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 200


class EverySecondIsRight:
    """Stands in for the grader, so that every group has a spread whatever the model says."""

    def __init__(self, rewards: Any) -> None: ...

    def __enter__(self) -> "EverySecondIsRight":
        return self

    def __exit__(self, *error: object) -> None: ...

    def grade_all(self, items: Iterable[tuple[Problem, str, str]]) -> list[Reward]:
        values = [float(index % 2) for index, _ in enumerate(items)]
        return [Reward(2 * value, {"accuracy": RewardPart(value)}) for value in values]


def test_it_trains_from_before_to_after(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "Grader", EverySecondIsRight)
    example.main(["--steps", "2", "--prompts", "2", "--group", "4", "--held-out", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rstrip(":") for line in lines] == ["before", "step", "step", "after"]
    assert "reward 1.000  right 0.500" in lines[1]
    assert "KL 0.0000" in lines[1]  # the policy still is its reference
    assert "KL 0.0000" not in lines[2]
    assert "pass@1 0.500" in lines[3]


def test_the_log_probs_of_sampling_are_those_of_training(example: ModuleType) -> None:
    folder = resolve_model("micro")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    problems = load_problems(WorldTask(num_train=6, num_held_out=1), 3).train
    prompts = [render(R1ZeroTemplate(), problem, tokenizer) for problem in problems]
    assert len({len(prompt.token_ids) for prompt in prompts}) > 1  # padding takes part
    rollouts = example.sample(model, tokenizer.eos_token_id, prompts, range(6))
    with torch.no_grad():
        trained_N = example.completion_logprobs(model, rollouts, slice(0, 6))
    assert (trained_N - rollouts.logprobs_BT[rollouts.mask_BT]).abs().max() < 1e-4
    # a sequence alone, without padding, is sampled the same
    alone = example.sample(model, tokenizer.eos_token_id, prompts[2:3], [2])
    num = int(alone.mask_BT.sum())
    assert alone.token_ids_BT[0, :num].tolist() == rollouts.token_ids_BT[2, :num].tolist()
    assert int(rollouts.mask_BT[2].sum()) == num
