"""Supervised fine-tuning on conversations: where they come from, how they become text, and how they are trained on.

The figures of the defaults are facts.md section 6 (cold-start and second-stage SFT); what no paper states is listed in
docs/departures.md.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from dunwu.config.base import ConfigModel, StageName
from dunwu.config.references import DataSources, FileName, ModelName, Product
from dunwu.config.task import PlainTemplate, R1ZeroTemplate, WorldKind
from dunwu.config.training import (
    BatchConfig,
    CheckpointConfig,
    LearningRate,
    OptimizerConfig,
    ScheduleConfig,
    require_scores,
)


class ConversationSource(ConfigModel):
    """Files of conversations. Several are read one after the other, as if they were one."""

    train: DataSources
    """JSONL or Parquet files, Hugging Face dataset folders, hub names, or "stage:NAME"; one alone needs no list."""
    held_out: DataSources | None = None
    """When left out, at least `num_held_out` conversations are taken off the training files, those of one prompt together."""
    num_held_out: PositiveInt = 128
    split: str = "train"
    """Split to read from a dataset folder or hub dataset."""
    held_out_split: str | None = None
    """Split of the held-out conversations, in `held_out` or, when that is left out, in `train`."""
    subset: str | None = None
    """Configuration of a hub dataset."""


class MessagesData(ConversationSource):
    """Each row holds a list of messages, each with `role` and `content`; an assistant's may have `reasoning_content`."""

    kind: Literal["messages"] = "messages"
    column: str = "messages"


class PairsData(ConversationSource):
    """Each row holds a prompt and its completion as text."""

    kind: Literal["pairs"] = "pairs"
    prompt_column: str = "prompt"
    completion_column: str = "completion"
    reasoning_column: str | None = None
    """Column with the thinking that comes before the completion; none: the completion is all there is."""


class WorldData(ConfigModel):
    """Answers as the embedded world's corpus has them, most of them careless: what a base model may have read about a kind of
    problem. It teaches a form, not care; that is left to reinforcement learning."""

    kind: Literal["world"] = "world"
    kinds: Annotated[tuple[WorldKind, ...], Field(min_length=1)]
    languages: Annotated[tuple[Literal["en", "zh"], ...], Field(min_length=1)] = ("en", "zh")
    num_conversations: PositiveInt = 8000
    num_held_out: PositiveInt = 128
    """Of them, at least so many are held out, those of one question together."""
    # it has no files
    train: ClassVar[tuple[str, ...]] = ()
    held_out: ClassVar[None] = None
    split: ClassVar[str] = "train"
    held_out_split: ClassVar[None] = None


ConversationData = Annotated[MessagesData | PairsData | WorldData, Field(discriminator="kind")]


class SftChatTemplate(ConfigModel):
    """The model's own chat template, or one from a file; whichever it is, it is saved with the trained model."""

    kind: Literal["chat"] = "chat"
    file: FileName | None = None
    """A Jinja file that takes the place of the model's own template."""
    system: str | None = None
    """System message for conversations without one; none: what the template does by itself."""
    variables: dict[str, Any] = Field(default_factory=dict)
    """Given to the template as they are, for example {date_string = "26 Jul 2024"} or {enable_thinking = true}."""
    dropped_thinking: Literal["restore", "drop", "error"] = "restore"
    """What to do where a template drops the thinking of a turn that is trained on, as that of R1-Distill does."""


class R1Template(ConfigModel):
    """R1's cold-start form for a base model without chat template: |special_token|<reasoning_process>|special_token|<summary>.

    facts.md section 3: the special token itself is not stated; the default is what R1 writes since its release.
    """

    kind: Literal["r1"] = "r1"
    opening: Annotated[str, Field(min_length=1)] = "<think>\n"
    """Before the reasoning process."""
    separator: Annotated[str, Field(min_length=1)] = "\n</think>\n\n"
    """Between the reasoning process and the summary."""
    user_start: str = "User: "
    user_end: str = "\n\n"
    assistant_start: str = "Assistant:\n"
    assistant_end: str = "\n\n"
    """Written between a finished answer, which the end-of-sequence token closes, and the next question; not trained on."""


SftTemplate = Annotated[
    SftChatTemplate | R1Template | R1ZeroTemplate | PlainTemplate, Field(discriminator="kind")
]


class SftSchedule(ScheduleConfig):
    """Cosine to a tenth of the peak (facts.md section 6: 5e-5 to 5e-6)."""

    kind: Literal["constant", "linear", "cosine"] = "cosine"


class SftOptimizer(OptimizerConfig):
    """AdamW with the learning rate of facts.md section 6."""

    learning_rate: LearningRate = 5e-5
    schedule: SftSchedule = SftSchedule()


class SftBatch(BatchConfig):
    """How a step's tokens are cut for the forward and backward pass. Changes speed and memory, never the result."""

    micro_batch_tokens: PositiveInt = 32768


class SftEvaluation(ConfigModel):
    """Loss, perplexity and token accuracy on the held-out conversations, before, after and, if asked, during the stage."""

    every_steps: PositiveInt | None = None


class SftConfig(ConfigModel):
    """Everything that one fine-tuning stage needs: the loss is that of the assistant's tokens alone, on packed conversations."""

    makes: ClassVar[frozenset[Product]] = frozenset({"model"})
    name: StageName = "sft"
    start: ModelName = "base"
    """The model to train: "base", one of the recipe's models, or an earlier stage, whose finished model is taken."""
    data: ConversationData
    template: SftTemplate = SftChatTemplate()
    turns: Literal["all", "last"] = "all"
    """Which of a conversation's assistant turns are trained on."""
    new_tokens: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Words added to the tokenizer as tokens of their own, for example ["<think>", "</think>"]; embeddings grow with it."""
    max_tokens: PositiveInt = 32768
    """Longest sample in tokens (facts.md section 6: 32,768)."""
    too_long: Literal["drop", "cut", "error"] = "drop"
    """Samples longer than max_tokens: left out, cut at max_tokens (their ends are lost), or refused."""

    num_epochs: PositiveInt = 2
    max_steps: PositiveInt | None = None
    """Stop after this many steps, for a trial; the learning rate then falls to its end by that step."""
    batch_size: PositiveInt = 128
    """Of one optimizer step (facts.md section 6: 128)."""
    batch_unit: Literal["samples", "rows"] = "samples"
    """What batch_size counts: samples, or rows of up to max_tokens tokens into which an epoch's samples are packed."""
    aggregation: Literal["token_mean", "sample_mean"] = "token_mean"
    """Every trained token of the batch weighs the same, or every sample does."""

    optimizer: SftOptimizer = SftOptimizer()
    batch: SftBatch = SftBatch()
    evaluation: SftEvaluation = SftEvaluation()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _possible(self) -> "SftConfig":
        require_scores(self.checkpoint, self.evaluation.every_steps)
        if len(set(self.new_tokens)) != len(self.new_tokens):
            raise ValueError(f"new_tokens names a token twice: {list(self.new_tokens)}; name each once")
        if self.batch.micro_batch_tokens < self.max_tokens:
            raise ValueError(
                f"batch.micro_batch_tokens is {self.batch.micro_batch_tokens}, and a sample may have max_tokens = "
                f"{self.max_tokens}: it would not fit into a forward pass; lower max_tokens or raise the other"
            )
        return self


class SftStage(SftConfig):
    """Supervised fine-tuning: the cold start, and the second fine-tuning (facts.md section 6)."""

    kind: Literal["sft"] = "sft"
