"""The state of an RL stage between two rollouts, and its way to disk and back, bit for bit.

What is here is all that a later step depends on: weights, reference weights, optimizer, step, and how many prompts were drawn of
each sort.
Random draws depend on (run seed, stage, step, ...) alone, so no generator's state is kept.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from dunwu.models.policy import Policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.weights import restore_optimizer, save_weights

_REFERENCE, _COUNTERS = "reference.safetensors", "counters.json"


@dataclass
class RlState:
    """Mutable on purpose: it is what training changes."""

    policy: Policy
    reference: Policy | None  # None: no KL term
    optimizer: MasterAdamW
    step: int = 0
    num_rollouts: int = 0
    prompts_drawn: int = 0
    general_drawn: int = 0

    def save(self, folder: Path) -> None:
        """Write the whole state; `model/` in it is a plain Hugging Face folder."""
        save_weights(self.policy, self.optimizer, folder)
        if self.reference is not None:
            weights = {
                name: p.detach().contiguous().cpu() for name, p in self.reference.model.named_parameters()
            }
            save_file(weights, folder / _REFERENCE)
        counters = {
            "step": self.step,
            "num_rollouts": self.num_rollouts,
            "prompts_drawn": self.prompts_drawn,
            "general_drawn": self.general_drawn,
        }
        (folder / _COUNTERS).write_text(json.dumps(counters))

    def restore(self, folder: Path) -> None:
        """Put back what `save` wrote, except the policy's weights: the policy is loaded from `policy_folder(folder)`."""
        if self.reference is not None:
            weights = load_file(folder / _REFERENCE)
            with torch.no_grad():
                for name, parameter in self.reference.model.named_parameters():
                    parameter.copy_(weights[name])
        restore_optimizer(self.optimizer, folder)
        counters = json.loads((folder / _COUNTERS).read_text())
        self.step, self.num_rollouts = counters["step"], counters["num_rollouts"]
        self.prompts_drawn = counters["prompts_drawn"]
        self.general_drawn = counters.get("general_drawn", 0)  # checkpoints of older versions have none
