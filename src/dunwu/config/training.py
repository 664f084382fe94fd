"""Optimizer, batch shape, sampling, engine, evaluation and checkpoints of a training stage."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from dunwu.config.base import ConfigModel

Frac = Annotated[float, Field(gt=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
"""Of AdamW, whose steps are about as long as the rate whatever the gradients: at 1 no weight keeps anything of what it was."""


def _computable(temperature: float) -> float:
    if 0 < temperature < LEAST_TEMPERATURE:
        raise ValueError(
            f"must be 0, which is greedy, or at least {LEAST_TEMPERATURE:g}: logits are divided by it"
        )
    return temperature


LEAST_TEMPERATURE = 0.001
Temperature = Annotated[float, Field(ge=0, le=100), AfterValidator(_computable)]
"""0 is greedy."""


class ScheduleConfig(ConfigModel):
    """The learning rate over the steps: linear warm-up, then constant, linear or cosine decay to a share of
    the peak."""

    kind: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: NonNegativeInt = 0
    final_frac: Annotated[float, Field(ge=0, le=1)] = 0.1


class OptimizerConfig(ConfigModel):
    """AdamW. The learning rate's default is facts.md section 2; the rest is not stated there
    (docs/departures.md)."""

    learning_rate: LearningRate = 3e-6
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    max_grad_norm: PositiveFloat | None = 1.0
    schedule: ScheduleConfig = ScheduleConfig()


class SamplingConfig(ConfigModel):
    """How completions are sampled."""

    max_new_tokens: PositiveInt = 32768
    """facts.md section 2: 32,768."""
    temperature: Temperature = 1.0
    """facts.md section 2: 1. 0 is greedy (evaluation only)."""
    top_p: Frac = 1.0
    top_k: NonNegativeInt = 0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stop_strings: tuple[str, ...] = ()


class EmbeddedEngine(ConfigModel):
    """dunwu's own engine, in the training process, on the training weights."""

    effect = "rounding"

    kind: Literal["embedded"] = "embedded"
    max_sequences: PositiveInt = 256
    """Sequences decoded side by side."""
    cache_tokens: PositiveInt | None = None
    """Tokens of KV cache in all; none: what max_sequences of the longest length need."""


EngineConfig = EmbeddedEngine


class BatchConfig(ConfigModel):
    """How a step's tokens are cut for the forward and backward pass. Changes speed and memory, never the
    result."""

    effect = "rounding"

    micro_batch_tokens: PositiveInt = 36864
    """Most tokens in one packed forward pass: a completion of the longest default, and room for its prompt."""
    logprob_chunk_tokens: PositiveInt = 8192
    """Tokens whose logits exist at one time, for vocabularies up to 8,192; larger ones get proportionally fewer."""
    gradient_checkpointing: bool = False


class EvaluationConfig(ConfigModel):
    """Held-out evaluation before, after and, if asked, during a stage."""

    num_problems: PositiveInt = 512
    samples_per_problem: PositiveInt = 16
    sampling: SamplingConfig | None = None
    """None: the stage's own sampling."""
    every_steps: PositiveInt | None = None


class CheckpointConfig(ConfigModel):
    """When the whole training state is written, and how many of them stay on disk."""

    effect = "none"

    every_steps: PositiveInt = 20
    keep_last: PositiveInt = 2
    """While the stage runs. With keep_best one more may stay."""
    keep_finished: NonNegativeInt = 0
    """How many of those stay once the stage is finished; its model stays in any case."""
    keep_best: bool = False
    """Keep the checkpoint with the best held-out figure too (pass@1, for fine-tuning the loss), also when the stage is
    finished. Needs an evaluation wherever there is a checkpoint."""


def require_scores(checkpoint: CheckpointConfig, evaluation_every_steps: int | None) -> None:
    """Refuse to keep the best checkpoint where checkpoints are not evaluated.

    Raises:
        ValueError: the message says how the two intervals must fit.
    """
    every = evaluation_every_steps
    if checkpoint.keep_best and (every is None or checkpoint.every_steps % every):
        raise ValueError(
            f"checkpoint.keep_best compares checkpoints by their evaluations: evaluation.every_steps must be set and divide "
            f"checkpoint.every_steps = {checkpoint.every_steps}; it is {every or 'none'}"
        )


class ModelConfig(ConfigModel):
    """The model to start from: `micro`, `nano`, `smollm2`, a Hugging Face folder, or a hub name."""

    path: Annotated[str, Field(min_length=1)]
    dtype: Literal["auto", "float32", "bfloat16"] = "float32"
    """Of the weights in forward and backward; with bfloat16 the optimizer keeps float32 master weights. "auto": bfloat16
    where the device has instructions for it, else float32; the run folder's recipe says which."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust_remote_code: bool = False
