"""A trained policy and its optimizer on their way to disk and back, bit for bit. What every training stage's state has in common.

Called by the states of the stages.
"""

from pathlib import Path

import torch

from dunwu.models.loading import save_policy
from dunwu.models.policy import Policy
from dunwu.training.optimizer import MasterAdamW

_POLICY, _OPTIMIZER = "model", "optimizer.pt"


def policy_folder(checkpoint: Path) -> Path:
    """Where the policy of a saved state lies: a plain Hugging Face folder."""
    return checkpoint / _POLICY


def save_weights(policy: Policy, optimizer: MasterAdamW, folder: Path) -> None:
    """Write the policy and the optimizer's state."""
    save_policy(policy, policy_folder(folder))
    save_optimizer(optimizer, folder)


def save_optimizer(optimizer: MasterAdamW, folder: Path) -> None:
    """Write the optimizer's state."""
    torch.save(optimizer.state_dict(), folder / _OPTIMIZER)


def restore_optimizer(optimizer: MasterAdamW, folder: Path) -> None:
    """Put back the optimizer's state; the policy is loaded from `policy_folder(folder)` instead.

    The file is mapped, not read as a whole: its 12 bytes a parameter would lie beside the optimizer's own.
    """
    saved = torch.load(folder / _OPTIMIZER, weights_only=True, mmap=True, map_location="cpu")
    optimizer.load_state_dict(saved)
