"""The comparison of a chain's models, the paper's stage table: which models, on what, asked and judged how."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from dunwu.config.asking import Asked
from dunwu.config.base import ConfigModel, StageName
from dunwu.config.code import CodeConfig
from dunwu.config.grading import GradingConfig, LocalGrading
from dunwu.config.output_form import OutputForm
from dunwu.config.references import ModelName, Product, RewardModelName
from dunwu.config.reward import AnswerForms
from dunwu.config.sampled_data import ReadabilityConfig
from dunwu.config.sandbox import BubblewrapSandbox, SandboxConfig
from dunwu.config.task import Task, Template
from dunwu.config.training import EmbeddedEngine, EngineConfig, Frac, SamplingConfig, Temperature

Role = Literal["base", "r1_zero", "dev1", "dev2", "dev3", "r1", "distilled", "small_rl"]
_ROLES: dict[str, Role] = {
    "base": "base",
    "r1 zero": "r1_zero",
    "dev1": "dev1",
    "dev2": "dev2",
    "dev3": "dev3",
    "r1": "r1",
    "distilled": "distilled",
    "small model by rl": "small_rl",
}


class ComparisonColumn(ConfigModel):
    """One model of the table. What is left out of how it is asked follows from how it was trained (docs/comparison.md)."""

    label: Annotated[str, Field(min_length=1)]
    """What the table calls it, for example "R1-Zero"."""
    model: ModelName
    role: Role | None = None
    """Which model of the paper's chain it is, for the findings; left out: the one that the label names, if it names one."""
    template: Template | None = None
    output_form: OutputForm | None = None
    """Given together with the template, or left out with it."""
    answer_from: AnswerForms | None = None
    """Where the final answer is looked for; left out: where the stage that sampled the model did, else in <answer> where
    the form has it, else in \\boxed{} or the text."""

    @property
    def plays(self) -> Role | None:
        """The role, or the one that the label names."""
        return self.role or _ROLES.get(" ".join(re.findall(r"[a-z0-9]+", self.label.lower())))

    @property
    def file_name(self) -> str:
        """What the files of its evaluation are called."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.label).strip("-") or "column"

    @model_validator(mode="after")
    def _both_or_none(self) -> "ComparisonColumn":
        if (self.template is None) != (self.output_form is None):
            given, missing = ("template", "output_form") if self.template else ("output_form", "template")
            raise ValueError(
                f"{given} is given and {missing} is not; the two belong together, so give both or neither"
            )
        return self


class WorldTruth(ConfigModel):
    """The embedded world's own truth, for its general prompts."""

    kind: Literal["world"] = "world"


class RewardModelJudge(ConfigModel):
    """Reward models: helpfulness of the final summary, harmlessness of the whole response. A value is the sigmoid of a score less
    the mean of the model's held-out scores, in units of their spread."""

    kind: Literal["reward_model"] = "reward_model"
    helpful: RewardModelName | None = None
    safety: RewardModelName | None = None
    max_tokens_per_batch: PositiveInt = 32768

    @model_validator(mode="after")
    def _has_a_model(self) -> "RewardModelJudge":
        if self.helpful is None and self.safety is None:
            raise ValueError("names no reward model; give `helpful`, `safety` or both")
        return self

    @property
    def models(self) -> Mapping[str, str]:
        """The names of the reward models by the set of prompts."""
        named = {"helpful": self.helpful, "safety": self.safety}
        return {of_set: name for of_set, name in named.items() if name is not None}


class PairwiseJudge(ConfigModel):
    """A model that compares the final summary with that of another column on the same prompt, as ArenaHard's judge does, each
    pair in both orders. The value is 1 for a win, 0.5 for a tie and 0 for a loss, averaged over the two orders."""

    kind: Literal["pairwise"] = "pairwise"
    by: Asked
    against: str | None = None
    """The label of the column to compare with; left out: the first."""


GeneralJudge = Annotated[WorldTruth | RewardModelJudge | PairwiseJudge, Field(discriminator="kind")]


class ComparisonSampling(SamplingConfig):
    """How completions are sampled: the paper's protocol (facts.md section 7)."""

    temperature: Temperature = 0.6
    """facts.md section 7: 0.6; greedy decoding repeats itself and varies more from checkpoint to checkpoint."""
    top_p: Frac = 0.95
    """facts.md section 7: 0.95."""


class ComparisonReadability(ReadabilityConfig):
    """What counts as readable in the table: the rules of the stages that make data, but that nothing need be thought."""

    min_thinking_chars: Annotated[int, Field(ge=0)] = 0


class ComparisonStage(ConfigModel):
    """Asks every model the same held-out problems with the same random numbers, and sets the figures side by side."""

    kind: Literal["comparison"] = "comparison"
    makes: ClassVar[frozenset[Product]] = frozenset()
    name: StageName = "comparison"
    columns: Annotated[tuple[ComparisonColumn, ...], Field(min_length=1)]
    task: Task
    """Its held-out problems are asked."""
    general: Task | None = None
    """Its held-out general prompts, which no rule can grade, are asked too."""
    general_judge: GeneralJudge | None = None
    """Says how helpful and how harmless the responses to general prompts are."""

    num_problems: PositiveInt = 512
    samples_per_problem: PositiveInt = 16
    """facts.md section 7: 4 to 64."""
    num_general: PositiveInt = 256
    samples_per_general: PositiveInt = 1
    sampling: ComparisonSampling = ComparisonSampling()
    readability: ComparisonReadability = ComparisonReadability()
    timeout_seconds: PositiveFloat = 5.0
    """Time limit of one grading."""
    code: CodeConfig = CodeConfig()
    sandbox: SandboxConfig = BubblewrapSandbox()
    grading: GradingConfig = LocalGrading()
    engine: EngineConfig = EmbeddedEngine()

    @model_validator(mode="after")
    def _possible(self) -> "ComparisonStage":
        for what, counts in (
            ("label", Counter(column.label for column in self.columns)),
            ("file name (the label without other signs than letters and digits)", Counter(self.file_names)),
            ("role", Counter(column.plays for column in self.columns if column.plays)),
        ):
            repeated = [name for name, count in counts.items() if count > 1]
            if repeated:
                raise ValueError(f"two columns have the {what} {repeated[0]!r}; give each its own")
        if (self.general is None) != (self.general_judge is None):
            given, missing = ("general", "general_judge") if self.general else ("general_judge", "general")
            raise ValueError(f"{given} is given and {missing} is not; give both or neither")
        for key, count in (
            ("samples_per_problem", self.samples_per_problem),
            ("samples_per_general", self.samples_per_general),
        ):
            if self.sampling.temperature == 0 and count > 1:
                raise ValueError(
                    f"{key} is {count}, and at sampling.temperature 0 all samples are the same; use 1, or a temperature above 0"
                )
        against = self.baseline
        if against is not None and against not in {column.label for column in self.columns}:
            raise ValueError(
                f"general_judge.against is {against!r}, and no column has that label; use one of "
                + ", ".join(column.label for column in self.columns)
            )
        return self

    @property
    def file_names(self) -> list[str]:
        """What the files of each column's evaluation are called."""
        return [column.file_name for column in self.columns]

    @property
    def baseline(self) -> str | None:
        """The label of the column that a pairwise judge compares the others with; None without such a judge."""
        if not isinstance(self.general_judge, PairwiseJudge):
            return None
        return self.general_judge.against or self.columns[0].label
