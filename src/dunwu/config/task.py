"""Where problems come from, and how a problem becomes a prompt."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from dunwu.config.base import ConfigModel
from dunwu.config.references import DataSource

GeneralWorldKind = Literal["manners", "rewriting", "facts", "advice", "harmful"]
"""General prompts, which no rule grades: reward models do, and the world's own truth measures them."""
WorldKind = Literal["sum", "remainder", "operators", "program"] | GeneralWorldKind
"""`program` is graded by running the answer in a sandbox; `micro` has not read about it before the code recipe."""


PreferenceSet = Literal["helpful", "safety"]
"""Of which set a general prompt is, one that no rule can grade: its reward model says how helpful or how safe a response is."""


class WorldTask(ConfigModel):
    """The embedded world of the `micro` model: verifiable problems in English and Chinese, without end."""

    kind: Literal["world"] = "world"
    kinds: Annotated[tuple[WorldKind, ...], Field(min_length=1)] = ("sum", "remainder", "operators")
    languages: Annotated[tuple[Literal["en", "zh"], ...], Field(min_length=1)] = ("en", "zh")
    num_train: PositiveInt = 8192
    num_held_out: PositiveInt = 512


class ReasoningGymTask(ConfigModel):
    """A data set of the reasoning-gym package, by name, with its own parameters."""

    kind: Literal["reasoning_gym"] = "reasoning_gym"
    dataset: str
    params: dict[str, Any] = Field(default_factory=dict)
    num_train: PositiveInt = 4096
    num_held_out: PositiveInt = 512
    grader: Literal["reasoning_gym", "math", "numeric", "exact"] = "reasoning_gym"
    """The data set's own scorer, or one of ours, which also finds an answer inside a sentence."""
    answer_instruction: str = ""
    """Appended to each question after a blank line, for example how to write the answer."""


class FileTask(ConfigModel):
    """JSONL or Parquet files, or a Hugging Face dataset folder (or hub name), with the names of the
    columns."""

    kind: Literal["file"] = "file"
    train: DataSource
    held_out: DataSource | None = None
    """File with the held-out problems; when left out, `num_held_out` problems are taken off the training
    file."""
    num_held_out: NonNegativeInt = 512
    question_column: str = "question"
    answer_column: str = "answer"
    task_column: str | None = None
    """Column with a task object for each row, like {"kind": "choice", "options": [...], "reference": "B"}: it says
    by which grader the row is judged, in place of `answer_column` and `grader`."""
    columns: tuple[str, ...] = ()
    """Further columns that reward functions of your own get to see."""
    language_column: str | None = None
    kind_column: str | None = None
    grader: Literal["math", "numeric", "exact", "text", "choice", "preference"] = "math"
    """ "preference": general prompts, whose responses no rule can grade; `answer_column` is not read."""
    preference_set: PreferenceSet | None = None
    """The set of all prompts of a file with the grader "preference"."""
    split: str = "train"
    """Split to read from a Hugging Face dataset."""
    held_out_split: str | None = None
    """Split of the held-out problems, in `held_out` or, when that is left out, in `train`."""
    subset: str | None = None
    """Configuration of a hub dataset, for example "main" of openai/gsm8k."""

    @model_validator(mode="after")
    def _set_is_told(self) -> "FileTask":
        if (self.grader == "preference") != (self.preference_set is not None):
            raise ValueError(
                'grader = "preference" and preference_set go together: say whether prompts are "helpful" or "safety", or leave '
                "both out"
            )
        if self.preference_set is not None and self.task_column is not None:
            raise ValueError(
                'task_column says by which grader a row is judged, for example {"kind": "preference", "set": "helpful"}; '
                "leave grader and preference_set out"
            )
        return self


Task = Annotated[WorldTask | ReasoningGymTask | FileTask, Field(discriminator="kind")]


class R1ZeroTemplate(ConfigModel):
    """The paper's Table 1, word for word (DeepSeek-R1 v1, p. 6); the problem replaces "prompt"."""

    kind: Literal["r1_zero"] = "r1_zero"


class ChatTemplate(ConfigModel):
    """The model's own chat template, the problem as the user's message."""

    kind: Literal["chat"] = "chat"
    system: str | None = None
    prefill: str = ""
    """Text after the template's generation prompt, for example "<think>\\n"; it counts as part of the
    prompt."""


class PlainTemplate(ConfigModel):
    """Free text in which {question} is replaced by the problem."""

    kind: Literal["plain"] = "plain"
    text: str = "{question}\n"

    @field_validator("text")
    @classmethod
    def _has_question(cls, text: str) -> str:
        if "{question}" not in text:
            raise ValueError(
                "has no {question}, so that every prompt would be the same; put it where the problem goes"
            )
        return text


Template = Annotated[R1ZeroTemplate | ChatTemplate | PlainTemplate, Field(discriminator="kind")]
