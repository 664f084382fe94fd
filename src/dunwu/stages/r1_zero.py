"""R1-Zero: reinforcement learning with rule-based rewards straight on a base model (DeepSeek-R1, section 2.2)."""

from typing import Any

from dunwu.config.stage import R1ZeroStage
from dunwu.stages.context import StageContext
from dunwu.stages.rl_loop import run_rl


def run_r1_zero(config: R1ZeroStage, context: StageContext) -> dict[str, Any]:
    """Run the stage to its end and return its record for summary.json."""
    return run_rl(config, context)
