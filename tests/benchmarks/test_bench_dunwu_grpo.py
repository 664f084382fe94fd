"""Our side of the step comparison makes a real step: everything generated is trained on, and weights move."""

import dataclasses
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from benchmarks.dunwu_grpo import DunwuTrainer
from benchmarks.results import StepFigures
from benchmarks.workload import StepWorkload

from dunwu.models.kv_cache import CacheSize, KvCache
from dunwu.models.policy import Policy
from dunwu.records import RolloutGroup
from dunwu.training.rollout_phase import RolloutPhase

CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def test_a_step_trains_on_all_that_it_generates(tiny_policy: Callable[..., Policy]) -> None:
    policy = tiny_policy("smollm2", dtype=torch.bfloat16)
    policy.tokenizer.chat_template = CHAT_TEMPLATE
    workload = StepWorkload(
        "tiny", num_prompts=2, group_size=3, completion_tokens=9, num_steps=2, learning_rate=0.01
    )
    trainer = DunwuTrainer(policy, workload)
    before = [p.detach().clone() for p in policy.model.parameters()]
    steps = [StepFigures(**trainer.step()) for _ in range(2)]
    for number, step in enumerate(steps):
        asked = workload.questions()[2 * number : 2 * number + 2]
        assert step.generated_tokens == step.trained_tokens == workload.tokens_of_step(number) == 54
        assert step.prompt_tokens == sum(len(question) for question, _ in asked)
        assert 0 < step.generation_seconds < step.step_seconds
    after = list(policy.model.parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_cache_is_given_back_before_training(
    tiny_policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a run: else the step would be measured with memory that it does not need."""
    policy = tiny_policy("llama")
    policy.tokenizer.chat_template = CHAT_TEMPLATE
    workload = StepWorkload("tiny", num_prompts=1, group_size=2, completion_tokens=3, num_steps=1)
    trainer, made, original = DunwuTrainer(policy, workload), [], Policy.new_cache

    def noted(self: Policy, size: CacheSize) -> KvCache:
        cache = original(self, size)
        made.append(weakref.ref(cache))
        return cache

    monkeypatch.setattr(Policy, "new_cache", noted)
    gc.disable()
    try:
        trainer.step()
        assert [cache() for cache in made] == [None]
    finally:
        gc.enable()


def test_completions_are_not_ended_early(tiny_policy: Callable[..., Policy]) -> None:
    policy = tiny_policy("llama")
    policy.tokenizer.chat_template = CHAT_TEMPLATE
    trainer = DunwuTrainer(policy, StepWorkload("tiny", num_prompts=1, group_size=2, completion_tokens=3))
    assert policy.eos_token_ids
    assert trainer.phase.sampling.stop_token_ids == ()
    assert dataclasses.replace(trainer.phase.sampling, stop_token_ids=()) == trainer.phase.sampling


def test_completions_end_at_the_lengths_of_their_prompts(tiny_policy: Callable[..., Policy]) -> None:
    policy = tiny_policy("llama")
    workload = StepWorkload(
        "tiny",
        num_prompts=3,
        group_size=4,
        completion_tokens=12,
        shortest_tokens=1,
        most_sentences=1,
        num_steps=2,
        dtype="float32",
        chat=False,
    )
    trainer = DunwuTrainer(policy, workload)
    sampled: list[list[RolloutGroup]] = []
    original = RolloutPhase.sample

    def spy(self: RolloutPhase, *args: Any) -> Any:
        groups, dropped = original(self, *args)
        sampled.append(groups)
        return groups, dropped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RolloutPhase, "sample", spy)
        steps = [StepFigures(**trainer.step()) for _ in range(2)]
    for number, (step, groups) in enumerate(zip(steps, sampled, strict=True)):
        by_prompt = dict(enumerate(workload.lengths(number), 3 * number))
        assert step.generated_tokens == step.trained_tokens == workload.tokens_of_step(number)
        for group in groups:
            lengths = [len(rollout.completion.token_ids) for rollout in group.rollouts]
            assert lengths == by_prompt[int(group.prompt.problem.id)]
    assert workload.lengths(0) != workload.lengths(1)
