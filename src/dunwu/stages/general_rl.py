"""RL for all scenarios: reasoning by rules, general prompts by reward models in the last steps (DeepSeek-R1, section 2.3.4)."""

from typing import Any

from dunwu.config.stage import GeneralRlStage
from dunwu.stages.context import StageContext
from dunwu.stages.rl_loop import run_rl


def run_general_rl(config: GeneralRlStage, context: StageContext) -> dict[str, Any]:
    """Run the stage to its end and return its record for summary.json: that of every RL stage, with figures of general prompts
    under "general" in those before and after, and under "reward_hacking" what the watch saw, none of it an empty list."""
    record = run_rl(config, context)
    return {**record, "reward_hacking": context.folder.reward_hacking_notes()}
