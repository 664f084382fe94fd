"""What the stages that make data by sampling share: whom to sample, what counts as readable, what to put beside it.

Thresholds and counts are stated in no paper (docs/departures.md).
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from dunwu.config.base import ConfigModel
from dunwu.config.grading import GradingConfig, LocalGrading
from dunwu.config.output_form import R1_ZERO_FORM, OutputForm
from dunwu.config.references import DataSources, FileName, ModelName, Product
from dunwu.config.reward import AccuracyReward
from dunwu.config.shaping import LanguageCode
from dunwu.config.task import GeneralWorldKind, R1ZeroTemplate, Task, Template
from dunwu.config.training import EmbeddedEngine, EngineConfig, SamplingConfig

Share = Annotated[float, Field(ge=0, le=1)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class ReadabilityConfig(ConfigModel):
    """Which correct completions are fit to be read. A completion that was cut at the token limit never is."""

    languages: Annotated[tuple[LanguageCode, ...], Field(min_length=1)] = ("en", "zh")
    """The languages that may mix; that of the question is always among them."""
    min_language_share: Share = 0.95
    """Least share of the thinking's words in the question's language, and of the summary's."""
    ngram_size: PositiveInt = 8
    """Words, Chinese characters, numbers and signs in a row that count as one n-gram."""
    max_repeated_share: Share = 0.3
    """Most n-grams that occurred before in the thinking."""
    min_thinking_chars: NonNegativeInt = 1
    max_thinking_chars: PositiveInt | None = None
    max_paragraph_chars: PositiveInt | None = None
    """Longest paragraph of the thinking; paragraphs end at an empty line, or at a line break where there is none."""
    code_blocks: Literal["keep", "drop"] = "keep"
    """Whether the thinking may hold fenced code."""

    @model_validator(mode="after")
    def _possible(self) -> "ReadabilityConfig":
        if self.max_thinking_chars is not None and self.max_thinking_chars < self.min_thinking_chars:
            raise ValueError(
                f"max_thinking_chars is {self.max_thinking_chars}, less than min_thinking_chars = "
                f"{self.min_thinking_chars}: nothing would be kept"
            )
        return self


class JoinedData(ConfigModel):
    """Conversations of your own that are put beside the sampled ones, as they are."""

    label: Label = "own"
    """What they are, for example "writing"; each row bears it, and counts are told by it."""
    sources: DataSources
    """JSONL or Parquet files, data set folders, hub names, or "stage:NAME"."""
    column: str = "messages"
    split: str = "train"
    thinking: Literal["keep", "drop"] = "keep"
    """ "drop": without chain of thought, as for queries that need none ("hello")."""


class WrittenWorld(ConfigModel):
    """Conversations on general prompts of the embedded world, as they were written for fine-tuning: thought about, and not all of
    them good. They stand for the general data that the recipe takes from elsewhere."""

    label: Label = "general"
    kinds: Annotated[tuple[GeneralWorldKind, ...], Field(min_length=1)] = get_args(GeneralWorldKind)
    languages: Annotated[tuple[Literal["en", "zh"], ...], Field(min_length=1)] = ("en", "zh")
    num_conversations: PositiveInt = 1000
    good_share: Share = 0.6
    """Share of the best answers; the rest are careless, so that preference rewards have something to teach."""


class SampledDataConfig(ConfigModel):
    """Sample a model on problems that can be graded, keep what is correct and readable, write it as conversations."""

    makes: ClassVar[frozenset[Product]] = frozenset({"data"})
    data_files: ClassVar[tuple[str, ...]] = ("train.jsonl",)
    plain_is_thinking: ClassVar[bool] = False
    """Whether a completion without marks is taken for thinking and answer at once, or for an answer alone."""

    start: ModelName = "base"
    """The model to sample: "base", one of the recipe's models, or an earlier stage, whose finished model is taken."""
    task: Task
    """Its training problems are asked."""
    template: Template = R1ZeroTemplate()
    output_form: OutputForm = R1_ZERO_FORM
    """How the sampled model marks thinking and answer."""
    few_shot: FileName | None = None
    """Text file with worked examples that is put before each question, with an empty line between."""
    accuracy: AccuracyReward = AccuracyReward()
    """How answers are found and graded."""
    grading: GradingConfig = LocalGrading()

    num_prompts: PositiveInt | None = None
    """Ask only the first so many training problems; left out: all."""
    samples_per_prompt: PositiveInt = 8
    prompts_per_chunk: PositiveInt = 64
    """Prompts that are sampled at once; a run that is killed loses at most one chunk's work."""
    max_per_prompt: PositiveInt = 1
    """Most rows of one problem that are kept, the first samples first."""
    sampling: SamplingConfig = SamplingConfig()
    engine: EngineConfig = EmbeddedEngine()
    readability: ReadabilityConfig = ReadabilityConfig()
    joined: tuple[JoinedData, ...] = ()
    joined_world: WrittenWorld | None = None

    @model_validator(mode="after")
    def _draws_differ(self) -> "SampledDataConfig":
        if self.sampling.temperature == 0 and self.samples_per_prompt > 1:
            raise ValueError(
                f"samples_per_prompt is {self.samples_per_prompt}, and at sampling.temperature 0 all samples are the same; "
                "use 1, or a temperature above 0"
            )
        return self
