"""Distillation as the paper did it: supervised fine-tuning of a smaller model on the recipe's data (facts.md section 6)."""

from typing import Literal

from pydantic import PositiveInt

from dunwu.config.base import StageName
from dunwu.config.sft import SftConfig, SftOptimizer
from dunwu.config.training import LearningRate


class DistillOptimizer(SftOptimizer):
    """AdamW, the learning rate falling to a tenth by cosine (facts.md section 6)."""

    learning_rate: LearningRate
    """It goes by the student, so it has no default. The paper's (v2, Table 6): Qwen2.5-Math-1.5B 1e-4, Qwen2.5-Math-7B 8e-5,
    Qwen2.5-14B 7e-5, Qwen2.5-32B 6e-5, Llama-3.1-8B 5e-5, Llama-3.3-70B-Instruct 2e-5."""


class DistillStage(SftConfig):
    """Fine-tuning of a smaller model on what the large one wrote, no RL: batches of 64, 2 to 3 epochs (facts.md section 6)."""

    kind: Literal["distill"] = "distill"
    name: StageName = "distill"
    batch_size: PositiveInt = 64
    """Of one optimizer step (facts.md section 6: 64)."""
    optimizer: DistillOptimizer
