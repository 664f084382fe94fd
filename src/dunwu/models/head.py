"""The output layer of a causal LM: weights, bias, and what the architecture does to the logits.

Shape legend: B rows, D hidden size, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from dunwu.errors import ModelError


@dataclass(frozen=True)
class Head:
    """logits = cap(scale * hidden @ weight^T + bias),  cap(x) = softcap * tanh(x / softcap) or x."""

    weight_VD: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None
    scale: float = 1.0

    def logits(self, hidden_BD: Tensor) -> Tensor:
        """(B, V) float32."""
        if self.scale != 1:
            hidden_BD = hidden_BD * self.scale
        logits_BV = functional.linear(hidden_BD, self.weight_VD, self.bias_V).float()
        if self.softcap is not None:
            logits_BV = self.softcap * torch.tanh(logits_BV / self.softcap)
        return logits_BV


def find_head(model: PreTrainedModel) -> Head:
    """The output layer of a model, by reference.

    Raises:
        ModelError: the model has no linear output layer.
    """
    layer = model.get_output_embeddings()
    if layer is None or not isinstance(getattr(layer, "weight", None), Tensor):
        raise ModelError(
            f"{type(model).__name__} has no linear output layer, so it is no causal LM that can be trained"
        )
    config = model.config
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    scale /= float(getattr(config, "logits_scaling", None) or 1.0)
    return Head(
        layer.weight, getattr(layer, "bias", None), getattr(config, "final_logit_softcapping", None), scale
    )
