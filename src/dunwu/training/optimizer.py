"""AdamW with float32 master weights, gradient accumulation in float32, clipping, and a learning-rate schedule.

With float32 weights the masters are the weights themselves. With bfloat16 weights every gradient is added to a float32 sum, the
step is made on float32 masters, and the result is rounded into the weights (`master_weights`). Called by the steps of all
training stages.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dunwu.config.training import OptimizerConfig
from dunwu.errors import NonFiniteError
from dunwu.functional.phases import phase
from dunwu.functional.schedules import lr_multiplier
from dunwu.models.memory import trim_heap
from dunwu.training.master_weights import OwnMaster, SplitMaster


class MasterAdamW:
    """The optimizer of a training stage; its whole state goes through `state_dict` for exact resume.

    While it lives, nobody else may change bfloat16 weights.
    """

    def __init__(self, module: nn.Module, config: OptimizerConfig, num_steps: int) -> None:
        self.config = config
        self.num_steps = num_steps
        self.params = [p for p in module.parameters() if p.requires_grad]
        # what lives as long as the training is allocated before the first activation, so that it does not lie scattered
        # among them and keep their memory from being used again
        self.masters = [OwnMaster(p) if p.dtype == torch.float32 else SplitMaster(p) for p in self.params]
        groups = [
            {"params": [p for p in self.params if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in self.params if p.ndim < 2], "weight_decay": 0.0},
        ]
        # holds settings and moments; the step is made on the masters, parameter by parameter
        self.inner = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.eps,
            fused=True,
        )
        for param in self.params:
            self.inner.state[param] = {
                "step": torch.zeros((), dtype=torch.float32, device=param.device),
                "exp_avg": torch.zeros_like(param, dtype=torch.float32, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(param, dtype=torch.float32, requires_grad=False),
            }

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a micro-batch's loss to those of the step so far, and hand back what it left free.

        A bfloat16 gradient is moved into its float32 sum once it is complete, so that those of the whole model never exist
        together.
        """
        with phase("backward"), self._gradients_taken():
            loss.backward()
        trim_heap(loss.device)

    @contextmanager
    def _gradients_taken(self) -> Iterator[None]:
        hooks = [
            master.param.register_post_accumulate_grad_hook(master.take_grad)
            for master in self.masters
            if isinstance(master, SplitMaster)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def learning_rate(self, step: int) -> float:
        """The learning rate of step 1 .. num_steps."""
        schedule = self.config.schedule
        factor = lr_multiplier(
            step - 1,
            num_steps=self.num_steps,
            kind=schedule.kind,
            warmup_steps=schedule.warmup_steps,
            final_frac=schedule.final_frac,
        )
        return self.config.learning_rate * factor

    @phase("optimizer")
    def step(self, step: int) -> float:
        """Clip, update, round into the weights, clear the gradients.

        Args:
            step: 1 .. num_steps, for the schedule.
        Returns:
            The global gradient norm before clipping; 0 when nothing had a gradient.
        Raises:
            NonFiniteError: the norm is NaN or infinite; weights and optimizer state are untouched.
        """
        grads: list[Tensor] = [m.grad for m in self.masters if m.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))) if grads else 0.0
        if not math.isfinite(norm):
            raise NonFiniteError(
                f"the gradient norm of step {step} is {norm}; the step was not made and the last checkpoint is intact. "
                'Lower optimizer.learning_rate, or use model.dtype = "float32"'
            )
        limit = self.config.max_grad_norm
        if limit is not None and norm > limit:
            torch._foreach_mul_(grads, limit / (norm + 1e-6))
        masters = {master.param: master for master in self.masters}
        for group in self.inner.param_groups:
            group["lr"] = self.learning_rate(step)
            settings = _settings(group)
            for param in group["params"]:
                if masters[param].grad is not None:
                    masters[param].update(self.inner.state[param], settings)
        for master in self.masters:
            master.clear_grad()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs to go on bit for bit; masters only where they differ from the weights.

        To be taken between two steps, and valid until the next gradient.
        """
        own = [master.master() for master in self.masters if isinstance(master, SplitMaster)]
        return {"inner": self.inner.state_dict(), "masters": own}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; the weights were restored before."""
        own = [master for master in self.masters if isinstance(master, SplitMaster)]
        for master, saved in zip(own, state["masters"], strict=True):
            master.restore(saved)
        # torch's own way would round the moments to the dtype of the weights
        inner = state["inner"]
        for group, saved in zip(self.inner.param_groups, inner["param_groups"], strict=True):
            for param, index in zip(group["params"], saved["params"], strict=True):
                for name, value in self.inner.state[param].items():
                    value.copy_(inner["state"][index][name])
            group.update({key: value for key, value in saved.items() if key != "params"})


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """The arguments of torch's `adamw` for a group of its optimizer."""
    beta1, beta2 = group["betas"]
    same = {
        name: group[name]
        for name in (
            "lr",
            "weight_decay",
            "eps",
            "amsgrad",
            "maximize",
            "foreach",
            "capturable",
            "differentiable",
            "fused",
        )
    }
    return {"beta1": beta1, "beta2": beta2, **same}
