"""A trained parameter and the float32 numbers behind it: its master weight, and the sum of its gradients.

A float32 parameter is its own master, and its gradients add up where autograd puts them (`OwnMaster`). A bfloat16 parameter is
its master, rounded; what it lacks lies beside it in 16 bits (`functional.split_float`), and its gradients are added up in float32
(`SplitMaster`). A step works through such a parameter piece by piece, so that what it needs for a moment is as large as a piece,
not as the model. Knows nothing of clipping and schedules. Called by `training.optimizer`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from dunwu.functional.phases import phase
from dunwu.functional.split_float import KeptWhole, join, split
from dunwu.kernels.build import library
from dunwu.training.split_adamw import split_adamw_

_PIECE_ELEMENTS = 2**20
_REGISTER_ELEMENTS = 64
"""A piece is 4 MB in float32, and a multiple of what a processor's registers hold. The elements at a tensor's end that do not
fill them are a piece of their own: torch computes them by other instructions, however the tensor is cut, and kernels do not."""

Moments = dict[str, Tensor]
"""AdamW's state of a parameter: `exp_avg` and `exp_avg_sq`, float32, of its shape, and `step`, how many steps were made."""


class OwnMaster:
    """A float32 parameter."""

    def __init__(self, param: nn.Parameter) -> None:
        self.param = param

    @property
    def grad(self) -> Tensor | None:
        """The sum of the gradients since they were cleared; None where there were none."""
        return self.param.grad

    def clear_grad(self) -> None:
        """Begin a new sum."""
        self.param.grad = None

    @torch.no_grad()
    def update(self, moments: Moments, settings: dict[str, Any]) -> None:
        """Make AdamW's step with `grad`; `settings` are those of torch's `adamw`."""
        assert self.grad is not None
        _adamw(self.param, self.grad, moments, settings)


class SplitMaster:
    """A bfloat16 parameter. While this lives, nobody else may change it."""

    def __init__(self, param: nn.Parameter) -> None:
        assert param.dtype == torch.bfloat16, param.dtype
        self.param = param
        self._offsets = torch.zeros_like(param, dtype=torch.int16, requires_grad=False)
        self._kept: dict[int, KeptWhole] = {}  # by piece
        self._sum = torch.zeros_like(param, dtype=torch.float32, requires_grad=False)
        self._has_grad = False

    @property
    def grad(self) -> Tensor | None:
        """The float32 sum of the gradients since they were cleared; None where there were none."""
        return self._sum if self._has_grad else None

    def clear_grad(self) -> None:
        """Begin a new sum."""
        self._has_grad = False

    @phase("accumulate gradients")
    @torch.no_grad()
    def take_grad(self, param: Tensor) -> None:
        """Move the gradient that autograd has completed into the sum; a hook for `register_post_accumulate_grad_hook`."""
        assert param is self.param
        assert param.grad is not None
        for total, grad in _pieces(self._sum, param.grad):
            if self._has_grad:
                total.add_(grad)
            else:
                total.copy_(grad)
        self._has_grad = True
        param.grad = None

    @torch.no_grad()
    def update(self, moments: Moments, settings: dict[str, Any]) -> None:
        """Make AdamW's step with `grad` on the master, and round it into the parameter; see `OwnMaster`."""
        assert self._has_grad
        step = moments["step"].clone()
        tensors = (self.param.detach(), self._offsets, self._sum, moments["exp_avg"], moments["exp_avg_sq"])
        flat = self._sum.device.type == "cpu" and all(tensor.is_contiguous() for tensor in tensors)
        kernels = library() if flat else None
        for number, (param, offsets, grad, mean, square) in enumerate(_pieces(*tensors)):
            if kernels and grad.numel() % _REGISTER_ELEMENTS == 0:
                piece = (param, offsets, grad, mean, square)
                kept = split_adamw_(kernels, piece, self._kept.get(number), int(step) + 1, settings)
                self._keep(number, kept)
                continue
            master = join(param, offsets, self._kept.get(number))
            of_piece = {"exp_avg": mean, "exp_avg_sq": square, "step": moments["step"].copy_(step)}
            _adamw(master, grad, of_piece, settings)
            param.copy_(master)
            self._keep(number, split(master, param, offsets))
        moments["step"].copy_(step + 1)

    @torch.no_grad()
    def master(self) -> Tensor:
        """Return the float32 master, in the memory of the gradients' sum: there must be none, and it is valid until the next."""
        assert not self._has_grad
        for number, (total, param, offsets) in enumerate(
            _pieces(self._sum, self.param.detach(), self._offsets)
        ):
            total.copy_(join(param, offsets, self._kept.get(number)))
        return self._sum

    @torch.no_grad()
    def restore(self, master: Tensor) -> None:
        """Take over what `master` gave; the parameter, its rounding, is restored by others, before."""
        for number, (saved, param, offsets) in enumerate(_pieces(master, self.param.detach(), self._offsets)):
            self._keep(number, split(saved, param, offsets))

    def _keep(self, number: int, kept: KeptWhole | None) -> None:
        if kept is None:
            self._kept.pop(number, None)
        else:
            self._kept[number] = kept


def _adamw(master: Tensor, grad: Tensor, moments: Moments, settings: dict[str, Any]) -> None:
    means, squares, steps = ([moments[name]] for name in ("exp_avg", "exp_avg_sq", "step"))
    adamw([master], [grad], means, squares, [], steps, **settings)


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one shape in the same places; yields views. Those that do not lie in one stretch each stay whole."""
    if all(tensor.is_contiguous() for tensor in tensors):
        whole = tensors[0].numel() // _REGISTER_ELEMENTS * _REGISTER_ELEMENTS
        parts = ([*t.view(-1)[:whole].split(_PIECE_ELEMENTS), t.view(-1)[whole:]] for t in tensors)
        return (piece for piece in zip(*parts, strict=True) if piece[0].numel())
    return iter([tensors])
