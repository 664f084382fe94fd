"""The comparison: every model of the chain on the same held-out problems, side by side, as in the paper's stage table.

One model after the other is loaded, asked and let go, each one step; then, model by model, responses to general prompts are
judged. What is sampled and judged stays in `<stage>/evaluation`: NAME, NAME.general and NAME.judged. A killed stage goes on after
the last whole step.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from dunwu.config.asked_as import AskedAs, asked_as
from dunwu.config.check import has_chat_template
from dunwu.config.comparison import ComparisonColumn, ComparisonStage
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig
from dunwu.config.shaping import LanguageReward
from dunwu.config.task import Task
from dunwu.data.tasks import ProblemSets, fingerprint, first_held_out, load_held_out
from dunwu.data.templates import render
from dunwu.errors import ConfigError, DataError
from dunwu.evaluation.comparison import (
    HARMLESSNESS,
    HELPFULNESS,
    LANGUAGE,
    READABILITY,
    measured_column,
    table_rows,
    with_parts,
)
from dunwu.evaluation.findings import find
from dunwu.evaluation.run import evaluate
from dunwu.functional.comparison_text import markdown
from dunwu.models.loading import load_policy, load_tokenizer
from dunwu.models.policy import Policy
from dunwu.records import Problem, Prompt, RolloutGroup
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import THINK_OPEN, all_marks, require_opened
from dunwu.rewards.readability import readability_part
from dunwu.rollout.collection import Collector, open_collector, sampling_params
from dunwu.runs.comparison_files import write_comparison
from dunwu.runs.files import canonical_json
from dunwu.stages.context import StageContext
from dunwu.stages.general_judges import open_general_judge, require_known_to_judge, told
from dunwu.stages.training_run import peak_memory_bytes, wall_seconds


def run_comparison(config: ComparisonStage, context: StageContext) -> dict[str, Any]:
    """Run or continue the comparison to its end.

    Returns:
        The stage's record for summary.json, which is the whole table: name, columns, rows, findings, and how the figures came
        about (`evaluation.comparison_text` writes it), wall_seconds.
    Raises:
        DataError: too few held-out problems, ones that cannot be graded or judged.
        ConfigError: a column's model cannot be asked in the way that its column or its training says.
    """
    comparison = _Comparison(config, context)
    comparison.go_back()
    comparison.sample()
    comparison.judge()
    return comparison.finish()


class _Comparison:
    """One comparison's steps: each column sampled, then each column's general responses judged."""

    def __init__(self, config: ComparisonStage, context: StageContext) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.problems = _problems(config.task, config.num_problems, "num_problems")
        self.general = _problems(config.general, config.num_general, "num_general") if config.general else ()
        if config.general_judge is not None:
            require_known_to_judge(config.general_judge, self.general)
        self.asked = [self._asked(column) for column in config.columns]
        held_out = {"task": self.problems, "general": self.general}
        pins = {key: fingerprint(ProblemSets((), problems)) for key, problems in held_out.items()}
        self.folder.pin({**pins, "asked": canonical_json([_told(asked) for asked in self.asked])})
        self.done = 0

    @property
    def num_steps(self) -> int:
        """Each column is sampled in one step and judged in another, if there are general prompts."""
        return len(self.config.columns) * (2 if self.general else 1)

    def _asked(self, column: ComparisonColumn) -> AskedAs:
        """How a column's model is asked, looked at with its own tokenizer: a prompt must end as its form says."""
        try:
            asked = asked_as(column, self.folder.run.recipe, has_chat_template)
            model = self.context.models[column.model]
            tokenizer = load_tokenizer(model.path, trust_remote_code=model.trust_remote_code)
            prompt = render(asked.template, self.problems[0], tokenizer)
            if asked.finds_opening:
                opened = prompt.text.rstrip().endswith(THINK_OPEN)
                asked = replace(asked, form=ThinkForm(opened_by_prompt=opened))
            require_opened([prompt], asked.form)
        except ConfigError as error:
            raise ConfigError(f"column {column.label}: {error}") from error
        return asked

    def go_back(self) -> None:
        """Put the folder back to its last whole step."""
        self.done = len(self.folder.read_metrics())
        self.folder.rewind(self.done)
        self.context.progress.stage_started(self.folder.name, self.num_steps, self.done)

    def sample(self) -> None:
        """Sample and grade the columns that are still to be."""
        for index in range(self.done, len(self.config.columns)):
            self._sample_column(self.config.columns[index], self.asked[index])

    def _sample_column(self, column: ComparisonColumn, asked: AskedAs) -> None:
        start = time.monotonic()
        config = self.config
        policy = load_policy(self.context.models[column.model])
        rewards: list[RewardConfig] = [
            AccuracyReward(
                answer_from=asked.answer_from,
                timeout_seconds=config.timeout_seconds,
                code=config.code,
                sandbox=config.sandbox,
            ),
            FormatReward(),
            LanguageReward(languages=config.readability.languages),
        ]
        with Grader(rewards, output_form=asked.form, service=config.grading) as grader:
            grader.require_gradable(self.problems)
            marks = all_marks(asked.form)
            with open_collector(policy, grader, keep=marks, engine=config.engine) as collector:
                figures, groups = self._ask(
                    column, asked, policy, collector, self.problems, config.samples_per_problem
                )
                readable = with_parts(
                    groups,
                    READABILITY,
                    lambda group, rollout: readability_part(
                        group.prompt.problem,
                        rollout.text,
                        rollout.completion.finish_reason,
                        config.readability,
                        asked.form,
                    ),
                )
                shares = {part: _mean_part(readable, part) for part in (READABILITY, LANGUAGE)}
                label, step = column.file_name, self.done + 1
                self.folder.write_evaluation(label, {**figures, **shares}, readable, step=step)
                if self.general:
                    found, groups = self._ask(
                        column, asked, policy, collector, self.general, config.samples_per_general
                    )
                    kept = {key: found[key] for key in ("num_problems", "length_mean", "truncated_frac")}
                    self.folder.write_evaluation(f"{label}.general", kept, groups, step=step)
        told_now = {"accuracy": figures["pass_at_1"], **{k: figures[k] for k in ("format", "length_mean")}}
        self._end_step({"column": column.label, **told_now, **shares}, time.monotonic() - start)

    def _ask(
        self,
        column: ComparisonColumn,
        asked: AskedAs,
        policy: Policy,
        collector: Collector,
        problems: Sequence[Problem],
        num_samples: int,
    ) -> tuple[Mapping[str, Any], tuple[RolloutGroup, ...]]:
        """Sample and grade; the draws depend on the run's seed, the problem and the sample alone, the same for every column."""
        prompts = [render(asked.template, problem, policy.tokenizer) for problem in problems]
        require_opened(prompts, asked.form)
        _check_lengths(column, self.config.sampling.max_new_tokens, policy, prompts)
        result = evaluate(
            collector,
            prompts,
            num_samples=num_samples,
            sampling=sampling_params(self.config.sampling, policy),
            run_seed=self.context.seed,
            seed_path=("comparison",),
            on_progress=lambda done, total: self.context.progress.evaluation(column.label, done, total),
        )
        return result.figures, result.groups

    def judge(self) -> None:
        """Judge the responses to general prompts that are still to be."""
        first = self.done - len(self.config.columns)
        if self.done == self.num_steps or self.config.general_judge is None:
            return
        baseline = None
        if self.config.baseline is not None:
            labels = [column.label for column in self.config.columns]
            against = labels.index(self.config.baseline)
            baseline = self._general_groups(against), self.asked[against].form
        with open_general_judge(self.config.general_judge, self.context, baseline) as judge:
            for index in range(first, len(self.config.columns)):
                start = time.monotonic()
                column = self.config.columns[index]
                groups = self._general_groups(index)
                if column.label != self.config.baseline:
                    groups = judge(groups, self.asked[index].form)
                figures = {part: _mean_part(groups, part) for part in (HELPFULNESS, HARMLESSNESS)}
                self.folder.write_evaluation(
                    f"{column.file_name}.judged", figures, groups, step=self.done + 1
                )
                self._end_step({"column": column.label, **figures}, time.monotonic() - start)

    def _general_groups(self, index: int) -> tuple[RolloutGroup, ...]:
        """Read a column's general responses, each with its whole problem: the table leaves out what only judges need."""
        groups = self.folder.read_evaluation_samples(f"{self.config.file_names[index]}.general")
        return tuple(
            replace(group, prompt=replace(group.prompt, problem=problem))
            for group, problem in zip(groups, self.general, strict=True)
        )

    def _end_step(self, figures: Mapping[str, Any], seconds: float) -> None:
        self.done += 1
        timings = {"wall_seconds": seconds, "peak_memory_bytes": peak_memory_bytes()}
        self.folder.append_timings(self.done, timings)
        self.folder.append_metrics(self.done, figures)
        self.context.progress.step(self.done, figures, timings)

    def finish(self) -> dict[str, Any]:
        """Write the table and return the stage's record."""
        config = self.config
        columns = []
        for column in config.columns:
            groups = self.folder.read_evaluation_samples(column.file_name)
            judged = self.folder.read_evaluation_samples(f"{column.file_name}.judged") if self.general else ()
            columns.append(measured_column(column.label, column.plays, groups, judged))
        judge = config.general_judge
        table = {
            "name": self.folder.name,
            "columns": [
                {"label": column.label, "role": column.plays, "model": column.model, **_told(asked)}
                for column, asked in zip(config.columns, self.asked, strict=True)
            ],
            "rows": table_rows(columns, config.samples_per_problem),
            "findings": find(columns),
            "num_problems": len(self.problems),
            "samples_per_problem": config.samples_per_problem,
            "num_general": len(self.general),
            "samples_per_general": config.samples_per_general,
            "sampling": config.sampling.model_dump(mode="json"),
            "readability": config.readability.model_dump(mode="json"),
            "judged_by": None if judge is None else told(judge, config.baseline),
        }
        write_comparison(self.folder, table, markdown(table))
        return {**table, "num_steps": self.num_steps, "wall_seconds": wall_seconds(self.context)}


def _problems(task: Task, wanted: int, key: str) -> Sequence[Problem]:
    """Load held-out problems that fit the key that names them: general prompts in `general`, all others in `task`.

    Raises:
        DataError: there are too few, or one is of the other sort.
    """
    problems = first_held_out(load_held_out(task), wanted, key)
    general = key == "num_general"
    for problem in problems:
        if (problem.grader == "preference") != general:
            raise DataError(
                f"{'general' if general else 'task'} holds the problem {problem.id} with the grader {problem.grader!r}; general "
                'prompts, with the grader "preference", belong into `general`, and problems that a rule grades into `task`'
            )
    return problems


def _told(asked: AskedAs) -> dict[str, Any]:
    """How a column is asked, in words for the record."""
    return {
        "template": asked.template.kind,
        "output_form": _form_text(asked.form),
        "answer_from": list(asked.answer_from),
        "why": asked.why,
    }


def _form_text(form: OutputForm) -> str:
    opened = getattr(form, "opened_by_prompt", False)
    return f"{form.kind} (opened by the prompt)" if opened else form.kind


def _check_lengths(
    column: ComparisonColumn, max_new_tokens: int, policy: Policy, prompts: Sequence[Prompt]
) -> None:
    limit = getattr(policy.config, "max_position_embeddings", None)
    longest = max(len(prompt.token_ids) for prompt in prompts)
    if limit is not None and longest + max_new_tokens > limit:
        raise ConfigError(
            f"column {column.label}: the longest prompt has {longest} tokens and sampling.max_new_tokens is {max_new_tokens}: "
            f"{longest + max_new_tokens} in all, but the model has {limit} positions; lower max_new_tokens to at most "
            f"{limit - longest}"
        )


def _mean_part(groups: Sequence[RolloutGroup], name: str) -> float | None:
    parts = [rollout.reward.parts.get(name) for group in groups for rollout in group.rollouts]
    values = [part.value for part in parts if part is not None and part.value is not None]
    return fmean(values) if values else None
