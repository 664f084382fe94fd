"""Worker: dunwu's own training step on a `StepWorkload`: the functions that the RL stage calls, in its order.

A step is one rollout (sampling, grading, advantages) and one policy update. What the stage does besides,
writing every rollout and the metrics to the run folder, is left out, as is what the peer would write.
"""

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import torch

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import StepWorkload, text_reward, workload_from_argv
from dunwu.config.algorithm import Grpo, KlConfig
from dunwu.config.stage import RlConfig
from dunwu.config.task import ChatTemplate, WorldTask
from dunwu.config.training import BatchConfig, ModelConfig, OptimizerConfig, SamplingConfig
from dunwu.data.templates import render
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.records import (
    Completion,
    FinishReason,
    GenerationRequest,
    Problem,
    Prompt,
    Reward,
    RewardPart,
    SamplingParams,
)
from dunwu.rollout.collection import Collector
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.rl_state import RlState
from dunwu.training.rl_step import update_policy
from dunwu.training.rollout_phase import RolloutPhase
from dunwu.training.sequences import split_into_minibatches, train_sequences


class MeasuredEngine(EmbeddedEngine):
    """The embedded engine with a clock around its sampler; else unchanged."""

    generation_seconds = 0.0
    generated_tokens = prompt_tokens = 0

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, *args: Any, **kwargs: Any
    ) -> list[list[Completion]]:
        """Continue the prompts, and note how long that took."""
        start = time.perf_counter()
        completions = super().generate(requests, sampling, *args, **kwargs)
        self.generation_seconds = time.perf_counter() - start
        self.generated_tokens = sum(len(c.token_ids) for of_prompt in completions for c in of_prompt)
        self.prompt_tokens = sum(len(request.token_ids) for request in requests)
        return completions


class TextGrader:
    """The reward that both sides give."""

    def submit(self, problem: Problem, text: str, finish_reason: FinishReason) -> Future[Reward]:
        """Grade at once."""
        graded: Future[Reward] = Future()
        value = text_reward(text)
        graded.set_result(Reward(value, {"length": RewardPart(value)}))
        return graded


def stage_config(workload: StepWorkload) -> RlConfig:
    """The workload as a recipe's stage; the task is not read, the prompts are given."""
    return RlConfig(
        task=WorldTask(),
        template=ChatTemplate(),
        num_steps=workload.num_steps,
        prompts_per_step=workload.num_prompts,
        group_size=workload.group_size,
        steps_per_rollout=1,
        objective=Grpo(),
        kl=KlConfig(coef=workload.kl_coef, refresh_every_steps=None),
        sampling=SamplingConfig(max_new_tokens=workload.completion_tokens, temperature=workload.temperature),
        optimizer=OptimizerConfig(learning_rate=workload.learning_rate),
        batch=BatchConfig(micro_batch_tokens=workload.micro_batch_tokens),
    )


def make_prompts(workload: StepWorkload, config: RlConfig, policy: Policy) -> list[Prompt]:
    """The workload's questions in the model's chat template."""
    return [
        render(config.template, Problem(str(number), "sum", question, answer, "numeric"), policy.tokenizer)
        for number, (question, answer) in enumerate(workload.questions())
    ]


def step(
    state: RlState, phase: RolloutPhase, prompts: Sequence[Prompt], config: RlConfig
) -> dict[str, float]:
    """Sample these prompts and make one update, as `dunwu run` does."""
    groups, _ = dataclasses.replace(phase, prompts=prompts).sample(state)
    (minibatch,) = split_into_minibatches(
        train_sequences(groups), 1, by=config.split_rollout_by, seed=state.step
    )
    state.step += 1
    return update_policy(state.policy, state.reference, state.optimizer, minibatch, config, state.step)


def main() -> None:
    """Load, then step on demand."""
    channel = Channel()
    workload = workload_from_argv()
    config = stage_config(workload)
    policy = load_policy(ModelConfig(path=workload.model, dtype="bfloat16", device="cpu"))
    state = RlState(
        policy, policy.frozen_copy(), MasterAdamW(policy.model, config.optimizer, config.num_steps)
    )
    engine = MeasuredEngine(policy, config.engine)
    sampling = SamplingParams(config.sampling.max_new_tokens, config.sampling.temperature)
    prompts = make_prompts(workload, config, policy)
    collector = Collector(engine, policy.tokenizer, TextGrader())
    phase = RolloutPhase(config, "bench", workload.seed, prompts, collector, sampling)
    channel.send(
        versions=versions("dunwu", "transformers", "torch"),
        threads=torch.get_num_threads(),
        num_parameters=sum(p.numel() for p in policy.model.parameters()),
        settings=config.model_dump(exclude={"task", "evaluation", "checkpoint"}),
    )
    for start in range(0, len(prompts), workload.num_prompts):
        channel.await_step()
        begin = time.perf_counter()
        metrics = step(state, phase, prompts[start : start + workload.num_prompts], config)
        channel.send(
            step_seconds=time.perf_counter() - begin,
            generation_seconds=engine.generation_seconds,
            generated_tokens=engine.generated_tokens,
            trained_tokens=int(metrics["trained_tokens"]),
            prompt_tokens=engine.prompt_tokens,
        )
    channel.await_step()


if __name__ == "__main__":
    main()
