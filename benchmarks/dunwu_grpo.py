"""Worker: dunwu's own training step on a `StepWorkload`: the functions that the RL stage calls, in its order.

A step is one rollout (sampling, grading, advantages) and one policy update. What the stage does besides,
writing every rollout and the metrics to the run folder, is left out, as is what the peer would write.
"""

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import StepWorkload, text_reward, workload_from_argv
from dunwu.config.algorithm import Grpo, KlConfig
from dunwu.config.stage import RlConfig
from dunwu.config.task import ChatTemplate, PlainTemplate, WorldTask
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
from dunwu.rollout.batch import Batch
from dunwu.rollout.collection import Collector, policy_decoder, sampling_params
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.rollout.engine import OnToken
from dunwu.rollout.scheduler import Round
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.prompt_order import draw_prompts
from dunwu.training.rl_state import RlState
from dunwu.training.rl_step import update_policy
from dunwu.training.rollout_phase import RolloutPhase
from dunwu.training.sequences import split_into_minibatches, train_sequences


@dataclass
class EndedBatch(Batch):
    """A batch whose samples end at set lengths, as if their last token were the end of sequence."""

    lengths: Sequence[Sequence[int]] = ()
    """Tokens of each sample of each request."""

    def start(self, round_: Round, on_token: OnToken | None) -> list[int]:
        """As a batch does; with those that have reached their length."""
        return self._with_due(super().start(round_, on_token))

    def advance(self, on_token: OnToken | None) -> list[int]:
        """As a batch does; with those that have reached their length."""
        return self._with_due(super().advance(on_token))

    def _with_due(self, ended: list[int]) -> list[int]:
        due = [
            slot
            for slot, sample in enumerate(self.scheduler.running)
            if slot not in ended and self.num_new_S[slot] >= self.lengths[sample.request][sample.index]
        ]
        self.stopped_S[due] = True
        return sorted([*ended, *due])


class MeasuredEngine(EmbeddedEngine):
    """The embedded engine with a clock around its sampler, and an end set for each completion; else unchanged."""

    generation_seconds = 0.0
    generated_tokens = prompt_tokens = 0
    lengths: Sequence[Sequence[int]] = ()
    """Those of the next batch."""

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

    def _new_batch(self, requests: Sequence[GenerationRequest], sampling: SamplingParams) -> Batch:
        batch = super()._new_batch(requests, sampling)
        parts = (batch.scheduler, batch.cache, batch.stop_strings)
        return EndedBatch(batch.policy, batch.requests, batch.sampling, *parts, lengths=self.lengths)


class TextGrader:
    """The reward that both sides give."""

    def submit(
        self, problem: Problem, text: str, finish_reason: FinishReason, **facts: Any
    ) -> Future[Reward]:
        """Grade at once."""
        graded: Future[Reward] = Future()
        value = text_reward(text)
        graded.set_result(Reward(value, {"length": RewardPart(value)}))
        return graded

    def take_busy(self) -> list[tuple[float, float]]:
        """Grading takes no time beside generation here."""
        return []


def stage_config(workload: StepWorkload) -> RlConfig:
    """The workload as a recipe's stage; the task is not read, the prompts are given."""
    return RlConfig(
        task=WorldTask(),
        template=ChatTemplate() if workload.chat else PlainTemplate(),
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
    """The workload's questions in the stage's template."""
    return [
        render(config.template, Problem(str(number), "sum", question, answer, "numeric"), policy.tokenizer)
        for number, (question, answer) in enumerate(workload.questions())
    ]


class DunwuTrainer:
    """What a stage holds while it trains: state, engine, and the rollout phase."""

    def __init__(self, policy: Policy, workload: StepWorkload) -> None:
        self.workload = workload
        self.config = stage_config(workload)
        self.engine = MeasuredEngine(policy, self.config.engine)
        optimizer = MasterAdamW(policy.model, self.config.optimizer, self.config.num_steps)
        self.state = RlState(policy, policy.frozen_copy(), optimizer)
        self.prompts = make_prompts(workload, self.config, policy)
        # no stop tokens: every completion has its full length
        sampling = dataclasses.replace(sampling_params(self.config.sampling, policy), stop_token_ids=())
        collector = Collector(self.engine, policy_decoder(policy), TextGrader())
        self.phase = RolloutPhase(self.config, "bench", workload.seed, self.prompts, collector, sampling)

    def step(self) -> dict[str, float]:
        """Sample the next prompts and make one update, as `dunwu run` does; returns the step's figures."""
        begin = time.perf_counter()
        state, size = self.state, self.workload.num_prompts
        prompts = self.prompts[state.step * size : (state.step + 1) * size]
        lengths = dict(zip((p.problem.id for p in prompts), self.workload.lengths(state.step), strict=True))
        phase = dataclasses.replace(self.phase, prompts=prompts)
        # the phase draws the step's prompts in an order of its own
        order = draw_prompts(prompts, state.prompts_drawn, size, run_seed=phase.run_seed, stage=phase.stage)
        self.engine.lengths = [lengths[prompt.problem.id] for prompt in order]
        groups, _ = phase.sample(state)
        (minibatch,) = split_into_minibatches(
            train_sequences(groups), 1, by=self.config.split_rollout_by, seed=state.step
        )
        state.step += 1
        metrics = update_policy(
            state.policy, state.reference, state.optimizer, minibatch, self.config, state.step
        )
        return {
            "step_seconds": time.perf_counter() - begin,
            "generation_seconds": self.engine.generation_seconds,
            "generated_tokens": self.engine.generated_tokens,
            "trained_tokens": int(metrics["trained_tokens"]),
            "prompt_tokens": self.engine.prompt_tokens,
        }


def main() -> None:
    """Load, then step on demand."""
    channel = Channel()
    workload = workload_from_argv()
    policy = load_policy(
        ModelConfig.model_validate({"path": workload.model, "dtype": workload.dtype, "device": "cpu"})
    )
    trainer = DunwuTrainer(policy, workload)
    channel.send(
        versions=versions("dunwu", "transformers", "torch"),
        threads=torch.get_num_threads(),
        num_parameters=sum(p.numel() for p in policy.model.parameters()),
        settings=trainer.config.model_dump(exclude={"task", "rewards", "evaluation", "checkpoint"}),
    )
    for _ in range(workload.num_steps):
        channel.await_step()
        channel.send(**trainer.step())
    channel.await_step()


if __name__ == "__main__":
    main()
