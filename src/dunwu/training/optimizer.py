"""AdamW with float32 master weights, gradient accumulation in float32, clipping, and a learning-rate schedule.

With float32 weights the masters are the weights themselves. With bfloat16 weights every micro-batch's gradient is added to a
float32 accumulator, the step is made on float32 masters, and the result is rounded into the weights. Called by `rl_step`.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from dunwu.config.training import OptimizerConfig
from dunwu.errors import NonFiniteError
from dunwu.functional.phases import phase
from dunwu.functional.schedules import lr_multiplier
from dunwu.models.memory import trim_heap


class MasterAdamW:
    """The optimizer of a training stage; its whole state goes through `state_dict` for exact resume."""

    def __init__(self, module: nn.Module, config: OptimizerConfig, num_steps: int) -> None:
        self.config = config
        self.num_steps = num_steps
        self.params = [p for p in module.parameters() if p.requires_grad]
        self.masters = [
            p if p.dtype == torch.float32 else nn.Parameter(p.detach().to(torch.float32, copy=True))
            for p in self.params
        ]
        matrices = [m for m in self.masters if m.ndim >= 2]
        vectors = [m for m in self.masters if m.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.inner = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.eps,
            fused=True,
        )
        # what lives as long as the training is allocated before the first activation, so that it does not lie scattered
        # among them and keep their memory from being used again
        self._accumulators = [
            None if master is param else torch.zeros_like(master, requires_grad=False)
            for param, master in zip(self.params, self.masters, strict=True)
        ]
        for master in self.masters:
            self.inner.state[master] = {
                "step": torch.zeros((), dtype=torch.float32, device=master.device),
                "exp_avg": torch.zeros_like(master, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(master, requires_grad=False),
            }

    @phase("accumulate gradients")
    def accumulate(self) -> None:
        """Move the gradients of one backward pass into the float32 accumulators, and hand back what it left free; call after
        each micro-batch."""
        for param, master, accumulator in zip(self.params, self.masters, self._accumulators, strict=True):
            if accumulator is None or param.grad is None:
                continue
            if master.grad is None:
                master.grad = accumulator.copy_(param.grad)
            else:
                accumulator.add_(param.grad)
            param.grad = None
        trim_heap(self.params[0].device)

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
        for group in self.inner.param_groups:
            group["lr"] = self.learning_rate(step)
        if grads:
            self.inner.step()
        with torch.no_grad():
            for param, master in zip(self.params, self.masters, strict=True):
                if param is not master:
                    param.copy_(master)
        self.inner.zero_grad(set_to_none=True)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Everything a later `load_state_dict` needs to go on bit for bit; masters only where they differ from the weights."""
        own = [
            master.detach()
            for param, master in zip(self.params, self.masters, strict=True)
            if param is not master
        ]
        return {"inner": self.inner.state_dict(), "masters": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        own = [master for param, master in zip(self.params, self.masters, strict=True) if param is not master]
        with torch.no_grad():
            for master, saved in zip(own, state["masters"], strict=True):
                master.copy_(saved)
        self.inner.load_state_dict(state["inner"])
