"""What the stages that make data by sampling share: sample and grade, settle what is kept, count, write.

The training problems are gone through in chunks, twice: first all are sampled and graded, then the sampled model is let go and
each chunk's candidates are settled (`chunk_steps`). What each candidate came to stays in `<stage>/chunks`, the completions
themselves in `<stage>/rollouts`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
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
from dunwu.records import Problem, Prompt, Rollout, RolloutGroup
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import open_collector
from dunwu.runs.files import canonical_json
from dunwu.stages.candidates import Candidate, candidates_of, normalised
from dunwu.stages.chunk_steps import ChunkSteps, check_lengths, cut_into_chunks, first_problems
from dunwu.stages.context import StageContext
from dunwu.stages.training_run import wall_seconds

Settle = Callable[[list[Candidate]], list[Candidate]]
"""Takes the candidates of a chunk and returns each of them, in order, kept or dropped."""
(TRAIN_FILE,) = SampledDataConfig.data_files


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
        loop.steps.go_back()
        loop.sample(grader)
    if loop.steps.done < loop.steps.num_steps:
        with open_settle() as settle:
            loop.settle(settle)
    return loop.finish(joined)


class _DataLoop:
    """One stage's steps: a first half that samples, a second half that settles."""

    def __init__(self, config: SampledDataConfig, context: StageContext) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        sets = load_problems(config.task, context.seed)
        sets = replace(sets, train=context.clean_problems("task", sets.train))
        self.folder.pin({"task": fingerprint(sets)})
        self.problems = first_problems(sets.train, config.num_prompts)
        self.chunks = cut_into_chunks(self.problems, config.prompts_per_chunk)
        self.steps = ChunkSteps(context, num_sampled=len(self.chunks), num_settled=len(self.chunks))

    def sample(self, grader: Grader) -> None:
        """Sample and grade the chunks that are still to be sampled."""
        config = self.config
        if self.steps.sampled == len(self.chunks):
            return
        policy = load_policy(self.context.model)
        prompts = self._prompts(policy, self.problems)
        require_opened(prompts, config.output_form)
        check_lengths(policy, prompts, config.sampling.max_new_tokens)
        with open_collector(
            policy, grader, keep=all_marks(config.output_form), engine=config.engine
        ) as collector:
            for chunk in self.chunks[self.steps.sampled :]:
                self.steps.sample(
                    collector,
                    policy,
                    self._prompts(policy, chunk),
                    num_samples=config.samples_per_prompt,
                    sampling=config.sampling,
                    seed_path=(self.folder.name,),
                    figures=self._accuracy,
                )

    def _accuracy(self, rollouts: Sequence[Rollout]) -> dict[str, Any]:
        verdicts = [rollout.reward.parts[self.config.accuracy.part_name].value for rollout in rollouts]
        return {"accuracy": fmean(value is not None and value >= 1 for value in verdicts)}

    def _prompts(self, policy: Policy, problems: Sequence[Problem]) -> list[Prompt]:
        examples = _few_shot(self.config)
        prompts = []
        for problem in problems:
            asked = replace(problem, question=examples + problem.question)
            prompts.append(replace(render(self.config.template, asked, policy.tokenizer), problem=problem))
        return prompts

    def settle(self, settle: Settle) -> None:
        """Settle the chunks that are still to be settled."""
        for index in range(self.steps.settled + 1, len(self.chunks) + 1):
            candidates = candidates_of(self._read_groups(index), self.config)
            self.steps.settle(partial(_settled_rows, settle, candidates))

    def _read_groups(self, index: int) -> list[RolloutGroup]:
        """Read a sampled chunk, each group with its whole problem: the table leaves out what only graders need."""
        groups = self.folder.read_rollouts(index).groups
        return [
            replace(group, prompt=replace(group.prompt, problem=problem))
            for group, problem in zip(groups, self.chunks[index - 1], strict=True)
        ]

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
            "num_steps": self.steps.num_steps,
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
            for found in self.steps.files.read(index):
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


def _settled_rows(settle: Settle, candidates: list[Candidate]) -> list[dict[str, Any]]:
    return [candidate.as_row() for candidate in settle(candidates)]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


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
