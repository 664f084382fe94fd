"""What the stages that make data by sampling share: sample and grade, settle what is kept, count, write.

The training problems are gone through in chunks, twice: first all are sampled and graded, then the sampled model is let go and
each chunk's candidates are settled. Each chunk of either kind is one step. A killed stage goes on after the last whole step. What
each candidate came to stays in `<stage>/chunks`, the completions themselves in `<stage>/rollouts`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from dunwu.config.sampled_data import JoinedData, SampledDataConfig
from dunwu.config.sft import MessagesData
from dunwu.data.conversations import Conversation, ConversationSet
from dunwu.data.tasks import fingerprint, load_problems
from dunwu.data.templates import render
from dunwu.data.world.corpus import written_conversations
from dunwu.errors import ConfigError, DataError
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.records import Problem, Prompt, RolloutGroup
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import Collector, open_collector, sampling_params
from dunwu.runs.chunks import ChunkFiles
from dunwu.runs.files import canonical_json
from dunwu.stages.candidates import Candidate, candidates_of, normalised
from dunwu.stages.context import StageContext
from dunwu.stages.training_run import peak_memory_bytes, wall_seconds

Settle = Callable[[list[Candidate]], list[Candidate]]
"""Takes the candidates of a chunk and returns each of them, in order, kept or dropped."""
TRAIN_FILE = "train.jsonl"


def run_sampled_data(
    config: SampledDataConfig,
    context: StageContext,
    open_settle: Callable[[], AbstractContextManager[Settle]],
    judged: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Run or continue a stage to its end.

    Args:
        open_settle: opens what settles candidates; entered once all chunks are sampled.
        judged: graders whose problems a judge decides on, so that their references need not be gradable.
    Returns:
        The stage's record for summary.json: name, num_steps, prompts, samples, kept, rows, dropped (by reason), joined (by
        label), kinds, wall_seconds.
    Raises:
        DataError: references that cannot be graded; rows to be joined that are no conversations; nothing was kept.
    """
    loop = _DataLoop(config, context)
    # read first: a mistake in them should not cost the sampling
    joined = list(_joined_rows(config, context.seed))
    with Grader([config.accuracy], output_form=config.output_form, service=config.grading) as grader:
        grader.require_gradable([problem for problem in loop.problems if problem.grader not in judged])
        loop.go_back()
        loop.sample(grader)
    if loop.done < loop.num_steps:
        with open_settle() as settle:
            loop.settle(settle)
    return loop.finish(joined)


@dataclass(frozen=True)
class _Sampler:
    """A loaded model with what is needed to sample it."""

    policy: Policy
    collector: Collector


class _DataLoop:
    """One stage's steps: a first half that samples, a second half that settles."""

    def __init__(self, config: SampledDataConfig, context: StageContext) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.chunk_files = ChunkFiles(context.folder)
        sets = load_problems(config.task, context.seed)
        sets = replace(sets, train=context.clean_problems("task", sets.train))
        self.folder.pin({"task": fingerprint(sets)})
        self.problems = _chosen(config, sets.train)
        size = config.prompts_per_chunk
        starts = range(0, len(self.problems), size)
        self.chunks = [self.problems[start : start + size] for start in starts]
        self.done = 0

    @property
    def num_steps(self) -> int:
        """Each chunk is sampled in one step and settled in another."""
        return 2 * len(self.chunks)

    def go_back(self) -> None:
        """Put the folder back to its last whole step."""
        sampled = set(self.folder.rollout_indices())
        settled = set(self.chunk_files.indices())
        steps = {record["step"] for record in self.folder.read_metrics()}
        while self.done < self.num_steps:
            step = self.done + 1
            written = step in sampled if step <= len(self.chunks) else step - len(self.chunks) in settled
            if not written or step not in steps:
                break
            self.done = step
        self.folder.rewind(self.done)
        self.chunk_files.keep(max(0, self.done - len(self.chunks)))
        self.context.progress.stage_started(self.folder.name, self.num_steps, self.done)

    def sample(self, grader: Grader) -> None:
        """Sample and grade the chunks that are still to be sampled."""
        if self.done >= len(self.chunks):
            return
        policy = load_policy(self.context.model)
        prompts = self._prompts(policy, self.problems)
        require_opened(prompts, self.config.output_form)
        _check_lengths(self.config, policy, prompts)
        marks = all_marks(self.config.output_form)
        with open_collector(policy, grader, keep=marks, engine=self.config.engine) as collector:
            for chunk in self.chunks[self.done :]:
                self._sample_chunk(_Sampler(policy, collector), chunk)

    def _prompts(self, policy: Policy, problems: Sequence[Problem]) -> list[Prompt]:
        examples = _few_shot(self.config)
        prompts = []
        for problem in problems:
            asked = replace(problem, question=examples + problem.question)
            prompts.append(replace(render(self.config.template, asked, policy.tokenizer), problem=problem))
        return prompts

    def _sample_chunk(self, sampler: _Sampler, chunk: Sequence[Problem]) -> None:
        start = time.monotonic()
        config, step = self.config, self.done + 1
        prompts = self._prompts(sampler.policy, chunk)
        self.context.progress.generation(0, len(chunk) * config.samples_per_prompt)
        rollouts = sampler.collector.collect(
            prompts,
            num_samples=config.samples_per_prompt,
            sampling=sampling_params(config.sampling, sampler.policy),
            run_seed=self.context.seed,
            seed_path=(self.folder.name,),
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
        verdicts = [r.reward.parts[config.accuracy.part_name].value for r in everything]
        figures = {
            "accuracy": fmean(value is not None and value >= 1 for value in verdicts),
            "length_mean": fmean(tokens),
            "truncated_frac": fmean(r.completion.finish_reason == "length" for r in everything),
            "prompts": len(chunk),
        }
        self._end_step(
            figures, {"generation_tokens_per_second": sum(tokens) / seconds, "wall_seconds": seconds}
        )

    def settle(self, settle: Settle) -> None:
        """Settle the chunks that are still to be settled."""
        for index in range(self.done - len(self.chunks) + 1, len(self.chunks) + 1):
            start = time.monotonic()
            settled = settle(candidates_of(self._read_groups(index), self.config))
            self.chunk_files.write(index, [candidate.as_row() for candidate in settled])
            kept = sum(candidate.dropped is None for candidate in settled)
            figures = {"candidates": len(settled), "kept": kept, "kept_frac": kept / len(settled)}
            self._end_step(figures, {"wall_seconds": time.monotonic() - start})

    def _read_groups(self, index: int) -> list[RolloutGroup]:
        """Read a sampled chunk, each group with its whole problem: the table leaves out what only graders need."""
        groups = self.folder.read_rollouts(index).groups
        return [
            replace(group, prompt=replace(group.prompt, problem=problem))
            for group, problem in zip(groups, self.chunks[index - 1], strict=True)
        ]

    def _end_step(self, figures: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        self.done += 1
        timings = {**timings, "peak_memory_bytes": peak_memory_bytes()}
        self.folder.append_timings(self.done, timings)
        self.folder.append_metrics(self.done, figures)
        self.context.progress.step(self.done, figures, timings)

    def finish(self, joined: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        """Write the rows and return the stage's record."""
        dropped: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        labels: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        asked: set[str] = set()
        for label, row in _once([*self._kept_rows(dropped), *joined], dropped):
            rows.append(row)
            if label:
                labels[label] += 1
            else:
                kinds[row["problem_kind"]] += 1
                asked.add(row["problem_id"])
        samples = len(self.problems) * self.config.samples_per_prompt
        told = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
        self.context.progress.message(
            f"{kinds.total():,} of {samples:,} completions kept, {labels.total():,} conversations joined; dropped: "
            f"{told or 'none'}"
        )
        if not rows:
            raise DataError(
                f"stage {self.folder.name} kept none of {samples:,} completions ({told}); loosen readability, sample more, "
                "or start from a model that is right more often"
            )
        text = "".join(canonical_json(row, "row") + "\n" for row in rows)
        self.folder.write_data(TRAIN_FILE, lambda path: _write(path, text))
        return {
            "name": self.folder.name,
            "num_steps": self.num_steps,
            "prompts": len(self.problems),
            "prompts_with_rows": len(asked),
            "samples": samples,
            "kept": kinds.total(),
            "rows": len(rows),
            "dropped": dict(sorted(dropped.items())),
            "joined": dict(sorted(labels.items())),
            "kinds": dict(sorted(kinds.items())),
            "wall_seconds": wall_seconds(self.context),
        }

    def _kept_rows(self, dropped: Counter[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows of kept candidates without label, in order, and count why others were dropped."""
        manifest = self.folder.manifest
        start = manifest.reads.get("models", {}).get("start", {}) if manifest else {}
        for index in range(1, len(self.chunks) + 1):
            for found in self.chunk_files.read(index):
                if found["dropped"] is not None:
                    dropped[found["dropped"]] += 1
                    continue
                answer = {"role": "assistant", "content": found["content"]}
                if found["thinking"]:
                    answer["reasoning_content"] = found["thinking"]
                yield (
                    "",
                    {
                        "messages": [{"role": "user", "content": found["question"]}, answer],
                        "source": self.folder.name,
                        "problem_id": found["problem_id"],
                        "problem_kind": found["problem_kind"],
                        "language": found["language"],
                        "sample": found["sample"],
                        "graded_by": found["graded_by"],
                        "checkpoint": start.get("sha256"),
                    },
                )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _chosen(config: SampledDataConfig, problems: Sequence[Problem]) -> Sequence[Problem]:
    wanted = config.num_prompts
    if wanted is not None and wanted > len(problems):
        raise DataError(
            f"num_prompts is {wanted}, and the task has {len(problems)} training problems; lower it, or leave it out"
        )
    return problems[:wanted]


def _few_shot(config: SampledDataConfig) -> str:
    if config.few_shot is None:
        return ""
    try:
        text = Path(config.few_shot).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"few_shot: {config.few_shot} cannot be read: {error}") from error
    if not text:
        raise ConfigError(
            f"few_shot: {config.few_shot} is empty; write worked examples into it, or leave it out"
        )
    return text + "\n\n"


def _check_lengths(config: SampledDataConfig, policy: Policy, prompts: Sequence[Prompt]) -> None:
    limit = getattr(policy.config, "max_position_embeddings", None)
    longest = max(len(prompt.token_ids) for prompt in prompts)
    total = longest + config.sampling.max_new_tokens
    if limit is not None and total > limit:
        raise ConfigError(
            f"the longest prompt has {longest} tokens and sampling.max_new_tokens is {config.sampling.max_new_tokens}: {total} "
            f"in all, but the model has {limit} positions; lower max_new_tokens to at most {limit - longest}"
        )


def _joined_rows(config: SampledDataConfig, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in config.joined:
        data = MessagesData(train=part.sources, column=part.column, split=part.split)
        for conversation in ConversationSet(data, data.train, data.split):
            yield part.label, {"messages": _messages(conversation, part), "source": part.label}
    if (world := config.joined_world) is not None:
        written = written_conversations(
            world.kinds, world.languages, world.num_conversations, world.good_share, seed
        )
        for question, thinking, answer in written:
            messages = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer, "reasoning_content": thinking},
            ]
            yield world.label, {"messages": messages, "source": world.label}


def _messages(conversation: Conversation, part: JoinedData) -> list[dict[str, Any]]:
    messages = [dict(message) for message in conversation.messages]
    if part.thinking == "drop":
        for message in messages:
            message.pop("reasoning_content", None)
            if message["role"] == "assistant":
                message["content"] = message["content"].rpartition("</think>")[2].strip()
                if not message["content"] and "tool_calls" not in message:
                    raise DataError(f"{conversation.where} has an assistant's turn with nothing but thinking")
    return messages


def _once(
    rows: Sequence[tuple[str, dict[str, Any]]], dropped: Counter[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each conversation once, the first of those that say the same but for what `normalised` takes away."""
    seen: set[str] = set()
    for label, row in rows:
        key = normalised(canonical_json(row["messages"], "messages"))
        if key in seen:
            dropped["duplicate_row"] += 1
            continue
        seen.add(key)
        yield label, row
