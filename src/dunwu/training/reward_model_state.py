"""The state of a reward-model stage between two steps, and its way to disk and back, bit for bit.

Which rows a step takes follows from (run seed, stage, epoch) and the step's number, so nothing else is kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from dunwu.models.reward_model import RewardModel, save_reward_model
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.weights import policy_folder, restore_optimizer, save_optimizer

_COUNTERS = "counters.json"


@dataclass
class RewardModelState:
    """Mutable on purpose: it is what training changes."""

    reward_model: RewardModel
    optimizer: MasterAdamW
    step: int = 0

    def save(self, folder: Path) -> None:
        """Write the whole state; `model/` in it is a plain Hugging Face folder."""
        save_reward_model(self.reward_model, policy_folder(folder))
        save_optimizer(self.optimizer, folder)
        (folder / _COUNTERS).write_text(json.dumps({"step": self.step}))

    def restore(self, folder: Path) -> None:
        """Put back what `save` wrote, except the model's weights, which are loaded with the model."""
        restore_optimizer(self.optimizer, folder)
        self.step = json.loads((folder / _COUNTERS).read_text())["step"]
