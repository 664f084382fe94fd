"""The loop of every RL stage: evaluate, then rollout by rollout sample, update, record, checkpoint; evaluate again.

A killed stage goes on from its last checkpoint, in the middle of a rollout too (the rollout is read back from the run folder),
and ends with the same bytes. Called by the stage files; what differs between stages is in their configuration.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from dunwu.config.stage import RlConfig
from dunwu.evaluation.run import EvaluationResult, evaluate
from dunwu.functional.seeds import derive_seed
from dunwu.models.loading import save_policy
from dunwu.records import RolloutGroup
from dunwu.rollout.collection import sampling_params
from dunwu.rollout.timeline import grading_timings
from dunwu.stages.context import StageContext
from dunwu.stages.rl_setup import RlParts, rl_parts
from dunwu.stages.training_run import (
    evaluate_once,
    evaluation_label,
    go_back,
    peak_memory_bytes,
    save_checkpoint,
    wall_seconds,
)
from dunwu.training.rl_metrics import NOTHING_TO_TRAIN, completion_metrics, explain_zero, rollout_counts
from dunwu.training.rl_step import update_policy
from dunwu.training.rollout_phase import RolloutPhase
from dunwu.training.sequences import TrainSequence, split_into_minibatches, train_sequences


def run_rl(config: RlConfig, context: StageContext) -> dict[str, Any]:
    """Run or continue an RL stage to its end.

    Returns:
        The stage's record for summary.json: name, before, after, num_problems, wall_seconds.
    """
    folder, progress = context.folder, context.progress
    checkpoint = go_back(context)
    with rl_parts(config, context, checkpoint) as parts:
        loop = _RlLoop(config, context, parts)
        progress.stage_started(folder.name, config.num_steps, parts.state.step)
        before = loop.evaluate("before", 0)
        loop.train()
        after = loop.evaluate("after", config.num_steps)
        folder.save_model(lambda path: save_policy(parts.state.policy, path))
    return {
        "name": folder.name,
        "before": before,
        "after": after,
        "num_problems": config.evaluation.num_problems,
        "wall_seconds": wall_seconds(context),
    }


class _RlLoop:
    """One stage's loop: its parts, and the rollout it is training on."""

    def __init__(self, config: RlConfig, context: StageContext, parts: RlParts) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.parts = parts
        self.state = parts.state
        self._causes_told: set[str] = set()  # each diagnosis is said once; the metrics hold it at every step
        self.phase = RolloutPhase(
            config,
            context.folder.name,
            context.seed,
            parts.train,
            parts.collector,
            sampling_params(config.sampling, parts.state.policy),
        )

    def evaluate(self, label: str, step: int) -> Mapping[str, Any]:
        """Evaluate on the held-out problems, unless this evaluation is already in the run folder."""
        return evaluate_once(self.context, label, step, lambda: self._evaluate(label))

    def _evaluate(self, label: str) -> tuple[Mapping[str, Any], Sequence[RolloutGroup]]:
        progress = self.context.progress
        sampling = self.config.evaluation.sampling or self.config.sampling
        result: EvaluationResult = evaluate(
            self.parts.collector,
            self.parts.held_out,
            num_samples=self.config.evaluation.samples_per_problem,
            sampling=sampling_params(sampling, self.state.policy),
            run_seed=self.context.seed,
            seed_path=(self.folder.name, "evaluation"),
            on_progress=lambda finished, total: progress.evaluation(label, finished, total),
        )
        return result.figures, result.groups

    def train(self) -> None:
        """Make the updates that are still to be made."""
        steps_per_rollout = self.config.steps_per_rollout * self.config.inner_epochs
        while self.state.step < self.config.num_steps:
            start = time.monotonic()
            done = self.state.step % steps_per_rollout
            if done:
                stored = self.folder.read_rollouts(self.state.num_rollouts)
                groups, dropped = list(stored.groups), list(stored.dropped)
            else:
                groups, dropped = self._sample()
            sampling = {"sampling_seconds": time.monotonic() - start, **self._grading_timings()}
            minibatches = self._minibatches(groups)
            counts = rollout_counts(groups, dropped)
            for minibatch in minibatches[done:]:
                self._update(groups, minibatch, counts, sampling)
                sampling = {"sampling_seconds": 0.0}

    def _sample(self) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        first = self.state.step + 1
        self.parts.collector.take_times()  # an evaluation's
        groups, dropped = self.phase.sample(self.state, self.context.progress.generation)
        last = self.state.step + self.config.steps_per_rollout * self.config.inner_epochs
        self.folder.write_rollouts(
            self.state.num_rollouts, groups, first_step=first, last_step=last, dropped=dropped
        )
        return groups, dropped

    def _grading_timings(self) -> dict[str, Any]:
        timings = grading_timings(self.parts.collector.take_times())
        return {**timings, **self.parts.grader.counts} if timings else {}

    def _minibatches(self, groups: Sequence[RolloutGroup]) -> list[list[TrainSequence]]:
        """All mini-batches of a rollout, inner epoch after inner epoch, each epoch cut anew."""
        sequences = train_sequences(groups)
        minibatches = []
        for epoch in range(self.config.inner_epochs):
            seed = derive_seed(self.context.seed, self.folder.name, "split", self.state.num_rollouts, epoch)
            minibatches += split_into_minibatches(
                sequences, self.config.steps_per_rollout, by=self.config.split_rollout_by, seed=seed
            )
        return minibatches

    def _update(
        self,
        groups: Sequence[RolloutGroup],
        minibatch: Sequence[TrainSequence],
        counts: Mapping[str, Any],
        sampling: Mapping[str, Any],
    ) -> None:
        """One policy update with everything that is written about it."""
        state, config = self.state, self.config
        start = time.monotonic()
        step = state.step + 1
        metrics: dict[str, Any] = {
            "rollout": state.num_rollouts,
            **counts,
            **completion_metrics(groups, minibatch),
        }
        if minibatch:
            metrics.update(
                update_policy(state.policy, state.reference, state.optimizer, minibatch, config, step)
            )
        state.step = step
        training_seconds = time.monotonic() - start
        note = explain_zero(metrics) if minibatch else NOTHING_TO_TRAIN
        metrics["note"] = None if note is None else note.text
        self.folder.append_metrics(step, metrics)
        timings = self._timings(groups, metrics, sampling, training_seconds)
        self.folder.append_timings(step, timings)
        self.context.progress.step(step, metrics, timings)
        if note is not None and note.cause not in self._causes_told:
            self._causes_told.add(note.cause)
            self.context.progress.message(f"step {step}: {note.text}")
        self._after_update(step)

    def _timings(
        self,
        groups: Sequence[RolloutGroup],
        metrics: Mapping[str, Any],
        sampling: Mapping[str, Any],
        training_seconds: float,
    ) -> dict[str, Any]:
        sampling_seconds = sampling["sampling_seconds"]
        generated = sum(len(r.completion.token_ids) for group in groups for r in group.rollouts)
        return {
            "wall_seconds": sampling_seconds + training_seconds,
            **sampling,
            "training_seconds": training_seconds,
            "generation_tokens_per_second": generated / sampling_seconds if sampling_seconds else None,
            "training_tokens_per_second": metrics.get("computed_tokens", 0) / training_seconds,
            "peak_memory_bytes": peak_memory_bytes(),
        }

    def _after_update(self, step: int) -> None:
        """Reference refresh, evaluation and checkpoint, in this order, so that a checkpoint holds all that came before it."""
        config, state = self.config, self.state
        if (
            state.reference is not None
            and config.kl.refresh_every_steps
            and step % config.kl.refresh_every_steps == 0
        ):
            state.reference.copy_weights_from(state.policy)
        every = config.evaluation.every_steps
        if every and step % every == 0 and step < config.num_steps:
            self.evaluate(evaluation_label(step), step)
        if step % config.checkpoint.every_steps == 0 or step == config.num_steps:
            save_checkpoint(
                self.context, config.checkpoint, step, state.save, lambda found: found["pass_at_1"]
            )
