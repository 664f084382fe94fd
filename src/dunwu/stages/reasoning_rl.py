"""Reasoning RL: rule-based rewards and one language, from the cold-started model (DeepSeek-R1, section 2.3.2)."""

from typing import Any

from dunwu.config.stage import ReasoningRlStage
from dunwu.stages.context import StageContext
from dunwu.stages.rl_loop import run_rl


def run_reasoning_rl(config: ReasoningRlStage, context: StageContext) -> dict[str, Any]:
    """Run the stage to its end and return its record for summary.json."""
    return run_rl(config, context)
