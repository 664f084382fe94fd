"""Distillation: supervised fine-tuning of a smaller model on the recipe's data (DeepSeek-R1, section 2.4)."""

from typing import Any

from dunwu.config.distill import DistillStage
from dunwu.stages.context import StageContext
from dunwu.stages.sft import run_sft


def run_distill(config: DistillStage, context: StageContext) -> dict[str, Any]:
    """Run the stage to its end and return its record for summary.json."""
    return run_sft(config, context)
