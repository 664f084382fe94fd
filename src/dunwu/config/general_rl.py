"""General prompts in an RL stage: which, how many, and when."""

from pydantic import PositiveInt

from dunwu.config.base import ConfigModel
from dunwu.config.task import Task
from dunwu.config.training import Frac, SamplingConfig, Temperature


class GeneralPrompts(ConfigModel):
    """General prompts, which no rule can grade, in the last steps of a stage."""

    task: Task
    """Where they come from; its problems must have the grader "preference"."""
    steps: PositiveInt = 400
    """The stage's last steps, in which they are drawn beside the reasoning prompts (facts.md section 4: 400); more of them
    invite reward hacking."""
    share: Frac = 0.5
    """Of the prompts of those steps."""
    num_problems: PositiveInt = 512
    """Held-out general prompts in an evaluation, each with evaluation.samples_per_problem completions."""


class GeneralSampling(SamplingConfig):
    """How completions are sampled in RL for all scenarios."""

    temperature: Temperature = 0.7
    """facts.md section 4: 0.7, because higher ones lead to incoherent text in this stage."""
