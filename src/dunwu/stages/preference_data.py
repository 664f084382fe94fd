"""Preference data (DeepSeek-R1 v2, section 3.1): pairs of responses, compared four times, and responses labelled as safe or not.

Every model is sampled on all prompts, chunk by chunk; then it is let go and each chunk is judged. A killed stage goes on after
the last whole step.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from dunwu.config.preference_data import PreferenceDataStage
from dunwu.data.tasks import fingerprint, load_problems
from dunwu.data.templates import render
from dunwu.errors import ConfigError, DataError
from dunwu.functional.intervals import Interval
from dunwu.models.loading import load_policy
from dunwu.records import FinishReason, Problem, Reward, Rollout
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import open_collector
from dunwu.runs.files import canonical_json
from dunwu.stages.chunk_steps import ChunkSteps, check_lengths, cut_into_chunks, first_problems
from dunwu.stages.context import StageContext
from dunwu.stages.preference_judges import Judge, open_judge
from dunwu.stages.preference_pairs import (
    drawn_pairs,
    dropped_rows,
    label_row,
    labelled,
    pair_row,
    preference,
    queries_of,
    responses_of,
    unbalancing,
)
from dunwu.stages.training_run import wall_seconds

PAIRS_FILE, SAFETY_FILE = PreferenceDataStage.data_files
Row = dict[str, Any]


def run_preference_data(config: PreferenceDataStage, context: StageContext) -> dict[str, Any]:
    """Run or continue the stage to its end.

    Returns:
        The stage's record for summary.json: name, num_steps, prompts, samples, rows, kinds (rows by what they are), dropped (by
        reason), verdicts (by label), lengths (mean characters of chosen and rejected), wall_seconds.
    Raises:
        DataError: prompts that rules grade; nothing was kept.
        ConfigError: one response to a helpful prompt, of which no pair can be made; prompts that leave no room for one.
    """
    loop = _PreferenceLoop(config, context)
    loop.steps.go_back()
    loop.sample()
    if loop.steps.done < loop.steps.num_steps:
        with open_judge(config.judge, context) as judge:
            loop.judge(judge)
    return loop.finish()


class Ungraded:
    """Stands where a grader stands, and gives no reward: nobody grades general prompts while they are sampled."""

    def submit(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason,
        *,
        num_tokens: int | None = None,
        prompt_text: str = "",
    ) -> Future[Reward]:
        """See rollout.collection.GradingService."""
        done: Future[Reward] = Future()
        done.set_result(Reward(None, {}))
        return done

    def take_busy(self) -> list[Interval]:
        """See rollout.collection.GradingService."""
        return []


class _PreferenceLoop:
    """One stage's steps: each model samples all chunks, then all chunks are judged."""

    def __init__(self, config: PreferenceDataStage, context: StageContext) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        sets = load_problems(config.task, context.seed)
        self.names = (config.start, *config.models)
        _require_general(sets.train)
        _require_pairs(sets.train, len(self.names) * config.samples_per_prompt)
        sets = replace(sets, train=context.clean_problems("task", sets.train))
        self.folder.pin({"task": fingerprint(sets)})
        self.problems = first_problems(sets.train, config.num_prompts)
        self.chunks = cut_into_chunks(self.problems, config.prompts_per_chunk)
        num_sampled = len(self.names) * len(self.chunks)
        self.steps = ChunkSteps(context, num_sampled=num_sampled, num_settled=len(self.chunks))

    def sample(self) -> None:
        """Let each model sample the chunks that it has still to sample."""
        for place, name in enumerate(self.names):
            left = self.chunks[max(0, self.steps.sampled - place * len(self.chunks)) :]
            if self.steps.sampled < (place + 1) * len(self.chunks):
                self._sample(name, left)

    def _sample(self, name: str, chunks: Sequence[Sequence[Problem]]) -> None:
        config = self.config
        policy = load_policy(self.context.models[name])
        prompts = {p.id: render(config.template, p, policy.tokenizer) for p in self.problems}
        require_opened(prompts.values(), config.output_form)
        check_lengths(policy, list(prompts.values()), config.sampling.max_new_tokens)
        marks = all_marks(config.output_form)
        with open_collector(policy, Ungraded(), keep=marks, engine=config.engine) as collector:
            for chunk in chunks:
                self.steps.sample(
                    collector,
                    policy,
                    [prompts[problem.id] for problem in chunk],
                    num_samples=config.samples_per_prompt,
                    sampling=config.sampling,
                    seed_path=(self.folder.name, name),
                    figures=lambda rollouts: {},
                )

    def judge(self, judge: Judge) -> None:
        """Judge the chunks that are still to be judged."""
        for index in range(self.steps.settled, len(self.chunks)):
            self.steps.settle(partial(self._judged, index, judge))

    def _judged(self, index: int, judge: Judge) -> list[Row]:
        """Say what became of all responses to a chunk's prompts."""
        config, seed, stage = self.config, self.context.seed, self.folder.name
        found = [
            responses_of(problem, rollouts, config.output_form)
            for problem, rollouts in zip(self.chunks[index], self._read(index), strict=True)
        ]
        helpful = [responses for responses in found if responses.problem.metadata["set"] == "helpful"]
        pairs = [(r, pair) for r in helpful for pair in drawn_pairs(r, config.pairs_per_prompt, seed, stage)]
        asked = [queries_of(r.problem, pair, config.judge.num_queries, seed, stage) for r, pair in pairs]
        verdicts = iter(judge.compare([query for queries, _ in asked for query in queries]))
        rows = [
            pair_row(r.problem, pair, [next(verdicts) for _ in queries], swapped, config.judge.min_margin)
            for (r, pair), (queries, swapped) in zip(pairs, asked, strict=True)
        ]
        whole = [(r.problem, judged) for r in found if r not in helpful for judged in r.usable]
        labels = judge.label(whole)
        rows += [label_row(*item, verdict) for item, verdict in zip(whole, labels, strict=True)]
        of_prompt = Counter(r.problem.id for r, _ in pairs)
        return [*rows, *(row for r in found for row in dropped_rows(r, of_prompt[r.problem.id]))]

    def _read(self, index: int) -> Iterator[list[tuple[str, Rollout]]]:
        """Yield for each prompt of a chunk all its rollouts, each with its model's name."""
        groups = [
            self.folder.read_rollouts(place * len(self.chunks) + index + 1).groups
            for place in range(len(self.names))
        ]
        for of_prompt in zip(*groups, strict=True):
            yield [
                (name, rollout)
                for name, group in zip(self.names, of_prompt, strict=True)
                for rollout in group.rollouts
            ]

    def finish(self) -> dict[str, Any]:
        """Balance the lengths, write the rows and return the stage's record."""
        everything = [row for index in range(1, len(self.chunks) + 1) for row in self.steps.files.read(index)]
        dropped = Counter(row["dropped"] for row in everything if row["dropped"] is not None)
        kept = [row for row in everything if row["dropped"] is None]
        name = self.folder.name
        pairs = [preference(row, name) for row in kept if row["row"] == "pair"]
        safety = [labelled(row, name) for row in kept if row["row"] == "label"]
        pairs = self._balanced(pairs, dropped)
        samples = len(self.problems) * self.config.samples_per_prompt * len(self.names)
        told = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common()) or "none"
        self.context.progress.message(
            f"{len(pairs):,} pairs and {len(safety):,} labelled responses from {samples:,} responses; dropped: {told}"
        )
        if not pairs and not safety:
            raise DataError(
                f"stage {name} kept no pair and no label of {samples:,} responses ({told}); sample more, let models of "
                "different quality answer, or ask a judge whose verdicts can be read"
            )
        self._write(PAIRS_FILE, pairs)
        self._write(SAFETY_FILE, safety)
        safe = Counter(row["safe"] for row in safety)
        kinds = {"pairs": len(pairs), "safe responses": safe[True], "unsafe responses": safe[False]}
        return {
            "name": name,
            "num_steps": self.steps.num_steps,
            "prompts": len(self.problems),
            "samples": samples,
            "rows": len(pairs) + len(safety),
            "kinds": {kind: count for kind, count in kinds.items() if count},
            "joined": {},
            "dropped": dict(sorted(dropped.items())),
            "verdicts": dict(
                sorted(Counter(v for row in everything for v in row.get("verdicts", ())).items())
            ),
            "lengths": {side: _mean_length(pairs, side) for side in ("chosen", "rejected")},
            "wall_seconds": wall_seconds(self.context),
        }

    def _balanced(self, pairs: Sequence[Row], dropped: Counter[str]) -> list[Row]:
        """Leave out the pairs that unbalance the lengths most, and count them as "unbalancing"."""
        gap = self.config.judge.max_length_gap
        if gap is None:
            return list(pairs)
        out = unbalancing([(len(pair["chosen"]), len(pair["rejected"])) for pair in pairs], gap)
        if out:
            dropped["unbalancing"] = len(out)
        kept = [pair for index, pair in enumerate(pairs) if index not in out]
        chosen, rejected = (_mean_length(kept, side) or 0.0 for side in ("chosen", "rejected"))
        if abs(chosen - rejected) > gap * max(chosen, rejected):
            self.context.progress.message(
                f"chosen responses have {chosen:.0f} characters on average and rejected ones {rejected:.0f}; no choice among "
                f"{len(pairs):,} pairs brings them within judge.max_length_gap = {gap}: the reward model may learn length"
            )
        return kept

    def _write(self, file: str, rows: Sequence[Row]) -> None:
        if rows:  # a file without rows could not be read
            self.folder.write_data(file, partial(_write_rows, rows))


def _write_rows(rows: Sequence[Row], path: Path) -> None:
    path.write_text("".join(canonical_json(row, "row") + "\n" for row in rows), encoding="utf-8")


def _mean_length(pairs: Sequence[Row], side: str) -> float | None:
    return fmean(len(pair[side]) for pair in pairs) if pairs else None


def _require_general(problems: Sequence[Problem]) -> None:
    graded = [problem for problem in problems if problem.grader != "preference"]
    if graded:
        raise DataError(
            f"{len(graded)} of {len(problems)} prompts are graded by a rule, the first is {graded[0].id} (grader "
            f'{graded[0].grader}); preferences are about general prompts: give task.grader = "preference" and task.preference_set'
        )


def _require_pairs(problems: Sequence[Problem], num_responses: int) -> None:
    if num_responses < 2 and any(problem.metadata["set"] == "helpful" for problem in problems):
        raise ConfigError(
            'samples_per_prompt is 1 and one model is sampled, so that prompts of the set "helpful" would have no pair; raise '
            "samples_per_prompt, or name further models"
        )
