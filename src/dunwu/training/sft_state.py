"""The state of a fine-tuning stage between two steps, and its way to disk and back, bit for bit.

Which samples a step takes follows from (run seed, stage, epoch) and the step's number, so nothing else is kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from dunwu.models.policy import Policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.weights import restore_optimizer, save_weights

_COUNTERS = "counters.json"


@dataclass
class SftState:
    """Mutable on purpose: it is what training changes."""

    policy: Policy
    optimizer: MasterAdamW
    step: int = 0

    def save(self, folder: Path) -> None:
        """Write the whole state; `model/` in it is a plain Hugging Face folder."""
        save_weights(self.policy, self.optimizer, folder)
        (folder / _COUNTERS).write_text(json.dumps({"step": self.step}))

    def restore(self, folder: Path) -> None:
        """Put back what `save` wrote, except the policy's weights, which are loaded with the policy."""
        restore_optimizer(self.optimizer, folder)
        self.step = json.loads((folder / _COUNTERS).read_text())["step"]
