"""The reward model: what it learns from, and how.

The figures of the defaults are facts.md section 5; what no paper states is listed in docs/departures.md.
"""

from typing import ClassVar, Literal

from pydantic import PositiveInt, model_validator

from dunwu.config.base import ConfigModel, StageName
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.references import DataSources, ModelName, Product
from dunwu.config.training import BatchConfig, CheckpointConfig, LearningRate, OptimizerConfig, require_scores


class PreferenceRows(ConfigModel):
    """Rows to learn preferences from: pairs of responses for the pairwise loss, labelled responses for the pointwise one."""

    train: DataSources
    """JSONL or Parquet files, Hugging Face dataset folders, hub names, or "stage:NAME/FILE"; one alone needs no list."""
    held_out: DataSources | None = None
    """When left out, at least `num_held_out` rows are taken off the training files, those of one question together."""
    num_held_out: PositiveInt = 512
    split: str = "train"
    """Split to read from a dataset folder or hub dataset."""
    held_out_split: str | None = None
    """Split of the held-out rows, in `held_out` or, when that is left out, in `train`."""
    subset: str | None = None
    """Configuration of a hub dataset."""
    question_column: str = "question"
    chosen_column: str = "chosen"
    """Pairwise: the better response."""
    rejected_column: str = "rejected"
    """Pairwise: the worse response."""
    response_column: str = "response"
    """Pointwise: the whole response."""
    safe_column: str = "safe"
    """Pointwise: whether it is harmless, true or false."""


class RewardModelOptimizer(OptimizerConfig):
    """AdamW with the paper's learning rate (facts.md section 5)."""

    learning_rate: LearningRate = 6e-6


class RewardModelBatch(BatchConfig):
    """How a step's tokens are cut for the forward and backward pass. Changes speed and memory, never the result."""

    micro_batch_tokens: PositiveInt = 16384
    """Most tokens in one packed forward pass: a pair of the longest default."""


class RewardModelEvaluation(ConfigModel):
    """Loss and accuracy on the held-out rows, before, after and, if asked, during the stage."""

    every_steps: PositiveInt | None = None


class RewardModelStage(ConfigModel):
    """A reward model from preferences: helpful (pairwise, on summaries) or safety (pointwise, on whole responses; facts.md
    section 5)."""

    kind: Literal["reward_model"] = "reward_model"
    makes: ClassVar[frozenset[Product]] = frozenset({"reward_model"})
    name: StageName = "reward_model"
    start: ModelName = "base"
    """The model whose body gets the reward head: "base", one of the recipe's models, or an earlier stage."""
    loss: Literal["pairwise", "pointwise"] = "pairwise"
    """"pairwise": -log sigmoid(score of chosen - score of rejected), on the final summaries alone; "pointwise": binary
    cross-entropy of safe and unsafe, on whole responses."""
    data: PreferenceRows
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    """Pairwise: how the rows' responses mark their thinking, which is cut off. One without any mark is a summary already."""
    max_tokens: PositiveInt = 8192
    """Longest conversation in training, in tokens (facts.md section 5: 8,192). There is no limit at use."""
    too_long: Literal["drop", "error"] = "drop"
    """Rows with a longer conversation are left out, or refused. They are never cut: the score is read at the end."""

    num_epochs: PositiveInt = 1
    max_steps: PositiveInt | None = None
    """Stop after this many steps, for a trial; the learning rate then falls to its end by that step."""
    batch_size: PositiveInt = 256
    """Rows of one optimizer step (facts.md section 5: 256)."""

    optimizer: RewardModelOptimizer = RewardModelOptimizer()
    batch: RewardModelBatch = RewardModelBatch()
    evaluation: RewardModelEvaluation = RewardModelEvaluation()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _possible(self) -> "RewardModelStage":
        require_scores(self.checkpoint, self.evaluation.every_steps)
        responses = 2 if self.loss == "pairwise" else 1
        if self.batch.micro_batch_tokens < responses * self.max_tokens:
            raise ValueError(
                f"batch.micro_batch_tokens is {self.batch.micro_batch_tokens}, and a row may have {responses} conversations of "
                f"max_tokens = {self.max_tokens} tokens, which are trained together; lower max_tokens or raise the other"
            )
        return self
