"""Collecting: completions become text without special tokens, except those that mark thinking and answer; every one is
graded the moment it is finished, and the times of both are kept."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dunwu.records import Completion, GenerationRequest, Problem, Prompt, Reward, RewardPart, SamplingParams
from dunwu.rollout.collection import Collector, policy_decoder


@pytest.fixture(scope="module")
def policy() -> SimpleNamespace:
    core = Tokenizer(
        models.BPE({byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(text, special=True) for text in ("<eos>", "<|sum|>", "<|other|>")])
    core.add_tokens([AddedToken("<think>", special=False)])
    return SimpleNamespace(tokenizer=PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>"))


TEXT = "<think>a 1<|sum|> b<|other|><eos>"


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        ((), "<think>a 1 b"),
        (("<think>", "</think>"), "<think>a 1 b"),
        (("<|sum|>",), "<think>a 1<|sum|> b"),
        (("<|sum|>", "<|other|>"), "<think>a 1<|sum|> b<|other|>"),
    ],
)
def test_only_the_marks_of_the_output_form_survive(
    policy: SimpleNamespace, keep: tuple[str, ...], text: str
) -> None:
    ids = policy.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert policy_decoder(policy, keep)(ids) == text  # type: ignore[arg-type]


PROMPTS = [Prompt(Problem(name, "k", name, "1", "numeric"), f"Q {name}", (1, 2)) for name in ("a", "b")]
SAMPLING = SamplingParams(max_new_tokens=4)


class SlowEngine:
    """Finishes a completion every so often; its tokens are its place and seed."""

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_finished: Any, on_token: Any
    ) -> list[list[Completion]]:
        results = []
        for r, request in enumerate(requests):
            completions = []
            for s, _ in enumerate(request.seeds):
                on_token(r, s, 7)
                time.sleep(0.02)
                completions.append(Completion((r, s), (-1.0, -1.0), "stop"))
                on_finished(r, s, completions[-1])
            results.append(completions)
        return results


class SlowGrader:
    """Takes its time, in a thread, and remembers what it was given."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(1)
        self.given: list[tuple[Any, ...]] = []
        self.busy: list[tuple[float, float]] = [(0.0, 1.0)]  # from before, to be forgotten

    def submit(self, problem: Problem, text: str, finish_reason: Any, **facts: Any) -> Future[Reward]:
        self.given.append((problem.id, text, finish_reason, facts))
        return self.threads.submit(self._grade, text)

    def _grade(self, text: str) -> Reward:
        start = time.monotonic()
        time.sleep(0.01)
        self.busy.append((start, time.monotonic()))
        return Reward(float(text), {"length": RewardPart(float(text))})

    def take_busy(self) -> list[tuple[float, float]]:
        taken, self.busy = self.busy, []
        return taken


def test_completions_are_graded_beside_generation_and_come_back_in_order() -> None:
    grader = SlowGrader()
    collector = Collector(
        SlowEngine(),  # type: ignore[arg-type]
        lambda token_ids: "".join(map(str, token_ids)),
        grader,
    )
    progress: list[tuple[int, int]] = []
    before = time.monotonic()
    rollouts = collector.collect(
        PROMPTS,
        num_samples=3,
        sampling=SAMPLING,
        run_seed=1,
        seed_path=("x",),
        on_progress=lambda *at: progress.append(at),
    )
    assert [[r.reward.total for r in of_prompt] for of_prompt in rollouts] == [[0, 1, 2], [10, 11, 12]]
    assert [r.sample_index for r in rollouts[1]] == [0, 1, 2]
    assert progress == [(n, 6) for n in range(1, 7)]
    assert grader.given[4] == ("b", "11", "stop", {"num_tokens": 2, "prompt_text": "Q b"})

    (times,) = collector.take_times()
    assert collector.take_times() == []
    assert before <= times.started <= times.first_token < times.generated <= times.graded
    assert len(times.grading) == 6
    assert times.grading[0][0] < times.generated  # graded beside generation, which went on
    grader.threads.shutdown()
