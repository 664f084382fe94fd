"""The steps of a stage that goes through prompts in chunks, twice: first each chunk is sampled, then each is settled.

A killed stage goes on after the last whole step: a sampled chunk with its rollouts, or a settled one with its chunk file, and the
metrics of that step. Called by the stages that make data.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from dunwu.config.training import SamplingConfig
from dunwu.errors import ConfigError, DataError
from dunwu.models.policy import Policy
from dunwu.records import Problem, Prompt, Rollout, RolloutGroup
from dunwu.rollout.collection import Collector, sampling_params
from dunwu.runs.chunks import ChunkFiles
from dunwu.stages.context import StageContext
from dunwu.stages.training_run import peak_memory_bytes


class ChunkSteps:
    """How far a stage is, and what its steps leave in its folder."""

    def __init__(self, context: StageContext, *, num_sampled: int, num_settled: int) -> None:
        self.context = context
        self.folder = context.folder
        self.files = ChunkFiles(context.folder)
        self.num_sampled = num_sampled
        self.num_steps = num_sampled + num_settled
        self.done = 0

    @property
    def sampled(self) -> int:
        """Steps of the first half that are done."""
        return min(self.done, self.num_sampled)

    @property
    def settled(self) -> int:
        """Steps of the second half that are done."""
        return max(0, self.done - self.num_sampled)

    def go_back(self) -> None:
        """Put the folder back to its last whole step, and say where the stage goes on."""
        sampled = set(self.folder.rollout_indices())
        settled = set(self.files.indices())
        steps = {record["step"] for record in self.folder.read_metrics()}
        while self.done < self.num_steps:
            step = self.done + 1
            written = step in sampled if step <= self.num_sampled else step - self.num_sampled in settled
            if not written or step not in steps:
                break
            self.done = step
        self.folder.rewind(self.done)
        self.files.keep(self.settled)
        self.context.progress.stage_started(self.folder.name, self.num_steps, self.done)

    def sample(
        self,
        collector: Collector,
        policy: Policy,
        prompts: Sequence[Prompt],
        *,
        num_samples: int,
        sampling: SamplingConfig,
        seed_path: tuple[str, ...],
        figures: Callable[[Sequence[Rollout]], Mapping[str, Any]],
    ) -> None:
        """Make the next step of the first half: sample a chunk's prompts and write the rollouts.

        Args:
            figures: makes metrics of the rollouts, beside their lengths.
        """
        start, step = time.monotonic(), self.done + 1
        self.context.progress.generation(0, len(prompts) * num_samples)
        rollouts = collector.collect(
            prompts,
            num_samples=num_samples,
            sampling=sampling_params(sampling, policy),
            run_seed=self.context.seed,
            seed_path=seed_path,
            on_progress=self.context.progress.generation,
        )
        groups = [
            RolloutGroup(prompt, of_prompt, (None,) * len(of_prompt))
            for prompt, of_prompt in zip(prompts, rollouts, strict=True)
        ]
        self.folder.write_rollouts(step, groups, first_step=step, last_step=step)
        everything = [rollout for group in groups for rollout in group.rollouts]
        tokens = [len(rollout.completion.token_ids) for rollout in everything]
        seconds = time.monotonic() - start
        metrics = {
            **figures(everything),
            "length_mean": fmean(tokens),
            "truncated_frac": fmean(r.completion.finish_reason == "length" for r in everything),
            "prompts": len(prompts),
        }
        self._end(metrics, {"generation_tokens_per_second": sum(tokens) / seconds, "wall_seconds": seconds})

    def settle(self, settle: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Make the next step of the second half: let `settle` say what became of a chunk's candidates, and write it.

        Args:
            settle: returns a row for each candidate, whose "dropped" says why it was dropped, or is None.
        """
        start = time.monotonic()
        rows = settle()
        self.files.write(self.settled + 1, rows)
        kept = sum(row["dropped"] is None for row in rows)
        figures = {"candidates": len(rows), "kept": kept, "kept_frac": kept / len(rows)}
        self._end(figures, {"wall_seconds": time.monotonic() - start})

    def _end(self, figures: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self.done += 1
        timings = {**timings, "peak_memory_bytes": peak_memory_bytes()}
        self.folder.append_timings(self.done, timings)
        self.folder.append_metrics(self.done, figures)
        self.context.progress.step(self.done, figures, timings)


def cut_into_chunks(problems: Sequence[Problem], size: int) -> list[Sequence[Problem]]:
    """Return the problems in chunks of `size`, the last one perhaps shorter."""
    return [problems[start : start + size] for start in range(0, len(problems), size)]


def first_problems(problems: Sequence[Problem], wanted: int | None) -> Sequence[Problem]:
    """Return the first `wanted` problems, or all.

    Raises:
        DataError: there are not so many.
    """
    if wanted is not None and wanted > len(problems):
        raise DataError(
            f"num_prompts is {wanted}, and the task has {len(problems)} training problems; lower it, or leave it out"
        )
    return problems[:wanted]


def check_lengths(policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int) -> None:
    """Refuse prompts that leave no room for a completion.

    Raises:
        ConfigError: the longest one and `max_new_tokens` are more than the model has positions.
    """
    limit = getattr(policy.config, "max_position_embeddings", None)
    longest = max(len(prompt.token_ids) for prompt in prompts)
    total = longest + max_new_tokens
    if limit is not None and total > limit:
        raise ConfigError(
            f"the longest prompt has {longest} tokens and sampling.max_new_tokens is {max_new_tokens}: {total} "
            f"in all, but the model has {limit} positions; lower max_new_tokens to at most {limit - longest}"
        )
