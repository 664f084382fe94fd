"""The loop of every stage that trains on its own completions: evaluate, then rollout by rollout sample, update, record,
checkpoint; evaluate again.

A killed stage goes on from its last checkpoint, in the middle of a rollout too (the rollout is read back from the run folder),
and ends with the same bytes. Called by the stage files; what differs between RL stages is in their configuration, and what
differs between ways of learning is in their `Method`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.stage import RlConfig
from dunwu.evaluation.run import EvaluationResult, evaluate
from dunwu.functional.phases import phase
from dunwu.functional.seeds import derive_seed
from dunwu.models.loading import save_policy
from dunwu.records import RolloutGroup
from dunwu.rollout.collection import sampling_params
from dunwu.rollout.timeline import grading_timings
from dunwu.stages.context import StageContext
from dunwu.stages.diagnosing import Diagnosing
from dunwu.stages.general_evaluation import evaluate_general, watch
from dunwu.stages.profiling import Profiling
from dunwu.stages.rl_method import Method, PolicyGradient
from dunwu.stages.rl_setup import RlParts, rl_parts
from dunwu.stages.training_run import (
    evaluate_once,
    evaluation_label,
    go_back,
    peak_memory_bytes,
    save_checkpoint,
    wall_seconds,
    without_evaluation,
)
from dunwu.training.rl_metrics import NOTHING_TO_TRAIN, completion_metrics, rollout_counts
from dunwu.training.rollout_plan import RolloutSpan, general_begin, rollout_span
from dunwu.training.sequences import TrainSequence, split_into_minibatches, train_sequences


def run_rl(config: RlConfig, context: StageContext) -> dict[str, Any]:
    """Run or continue an RL stage to its end; see `run_on_policy`."""
    return run_on_policy(config, context, lambda parts: PolicyGradient(config, context, parts))


def run_on_policy(
    config: OnPolicyConfig, context: StageContext, make_method: Callable[[RlParts], Method]
) -> dict[str, Any]:
    """Run or continue a stage to its end.

    Returns:
        The stage's record for summary.json: name, before, after, num_problems, wall_seconds.
    """
    folder, progress = context.folder, context.progress
    checkpoint = go_back(context)
    with rl_parts(config, context, checkpoint) as parts:
        loop = _Loop(config, context, parts, make_method(parts))
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


class _Loop:
    """One stage's loop: its parts, and the rollout it is training on."""

    def __init__(self, config: OnPolicyConfig, context: StageContext, parts: RlParts, method: Method) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.parts = parts
        self.state = parts.state
        self._causes_told: set[str] = set()  # each diagnosis is said once; the metrics hold it at every step
        self.method = method
        self.diagnosing = Diagnosing(context)
        self.profiling = Profiling(context, self.state.policy.device)

    def evaluate(self, label: str, step: int) -> Mapping[str, Any]:
        """Evaluate on the held-out problems, unless that is already in the run folder, and say aloud what it warns of."""
        figures = evaluate_once(
            self.context, label, step, lambda: self._evaluate(label, step), state_step=self.state.step
        )
        seen = figures.get("reward_hacking")
        if seen is not None:
            self.folder.run.log(
                "reward hacking suspected", stage=self.folder.name, step=step, text=seen["text"]
            )
            self.context.progress.message(seen["text"])
        self.diagnosing.evaluation(step, figures)
        return figures

    def _evaluate(self, label: str, step: int) -> tuple[Mapping[str, Any], Sequence[RolloutGroup]]:
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
        general = self.parts.general
        if general is None:
            return result.figures, result.groups
        figures, groups = evaluate_general(
            self.config,
            self.context,
            self.parts,
            general,
            lambda finished, total: progress.evaluation(f"{label}, general prompts", finished, total),
        )
        both = {**result.figures, "general": figures}
        return {**both, "reward_hacking": watch(self.config, self.folder, step, both)}, (
            *result.groups,
            *groups,
        )

    def train(self) -> None:
        """Make the updates that are still to be made; what went before them must have been evaluated as it was due."""
        due = filter(self._evaluation_due, range(1, self.state.step + 1))
        for step in without_evaluation(self.context, due):
            self.evaluate(evaluation_label(step), step)
        while self.state.step < self.config.num_steps:
            with self.profiling.round(self.state.step + 1):
                self._round()

    def _round(self) -> None:
        """Make one rollout, or read it back, and the updates on it that are still to be made."""
        start = time.monotonic()
        span = rollout_span(self.config, self.state.step)
        done = self.state.step - span.start
        if done:
            stored = self.folder.read_rollouts(self.state.num_rollouts)
            groups, dropped = list(stored.groups), list(stored.dropped)
        else:
            groups, dropped = self._sample(span)
        sampling = {"sampling_seconds": time.monotonic() - start, **self._grading_timings()}
        minibatches = self._minibatches(groups, span)
        counts = rollout_counts(groups, dropped)
        for minibatch in minibatches[done:]:
            self._update(groups, minibatch, counts, sampling)
            sampling = {"sampling_seconds": 0.0}

    def _sample(self, span: RolloutSpan) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        first = self.state.step + 1
        self.parts.collector.take_times()  # an evaluation's
        groups, dropped = self.method.sample(self.state, self.context.progress.generation)
        with phase("write rollouts"):
            self.folder.write_rollouts(
                self.state.num_rollouts,
                groups,
                first_step=first,
                last_step=span.start + span.num_steps,
                dropped=dropped,
            )
        return groups, dropped

    def _grading_timings(self) -> dict[str, Any]:
        timings = grading_timings(self.parts.collector.take_times())
        return {**timings, **self.parts.grader.counts} if timings else {}

    def _minibatches(self, groups: Sequence[RolloutGroup], span: RolloutSpan) -> list[list[TrainSequence]]:
        """All mini-batches of a rollout, inner epoch after inner epoch, each epoch cut anew."""
        sequences = train_sequences(groups)
        minibatches = []
        for epoch in range(self.config.inner_epochs):
            seed = derive_seed(self.context.seed, self.folder.name, "split", self.state.num_rollouts, epoch)
            minibatches += split_into_minibatches(
                sequences,
                span.num_steps // self.config.inner_epochs,
                by=self.config.split_rollout_by,
                seed=seed,
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
        state = self.state
        start = time.monotonic()
        step = state.step + 1
        metrics: dict[str, Any] = {
            "rollout": state.num_rollouts,
            **counts,
            **completion_metrics(groups, minibatch),
        }
        if minibatch:
            metrics.update(self.method.update(state, minibatch, step))
        state.step = step
        training_seconds = time.monotonic() - start
        note = self.method.explain(metrics) if minibatch else NOTHING_TO_TRAIN
        metrics["note"] = None if note is None else note.text
        self.folder.append_metrics(step, metrics)
        timings = self._timings(groups, metrics, sampling, training_seconds)
        self.folder.append_timings(step, timings)
        self.context.progress.step(step, metrics, timings)
        if note is not None and note.cause not in self._causes_told:
            self._causes_told.add(note.cause)
            self.context.progress.message(f"step {step}: {note.text}")
        self.diagnosing.step({**metrics, "step": step})
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
            isinstance(config, RlConfig)
            and state.reference is not None
            and config.kl.refresh_every_steps
            and step % config.kl.refresh_every_steps == 0
        ):
            state.reference.copy_weights_from(state.policy)
        if self._evaluation_due(step):
            self.evaluate(evaluation_label(step), step)
        if step % config.checkpoint.every_steps == 0 or step == config.num_steps:
            save_checkpoint(
                self.context, config.checkpoint, step, state.save, lambda found: found["pass_at_1"]
            )

    def _evaluation_due(self, step: int) -> bool:
        """Whether the stage is evaluated after `step`, its end not counted."""
        every = self.config.evaluation.every_steps
        due = step == general_begin(self.config) or (every is not None and step % every == 0)
        return due and step < self.config.num_steps
