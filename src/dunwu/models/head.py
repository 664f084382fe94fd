"""The output layer of a causal LM: weights, bias, and what the architecture does to the logits.

Shape legend: B rows, D hidden size, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from dunwu.errors import ModelError


@dataclass(frozen=True)
class Head:
    """logits = cap(scale * hidden @ weight^T + bias),  cap(x) = softcap * tanh(x / softcap) or x."""

    layer: nn.Linear
    softcap: float | None = None
    scale: float = 1.0

    @property
    def weight_VD(self) -> Tensor:
        """The layer's weights."""
        return self.layer.weight

    @property
    def bias_V(self) -> Tensor | None:
        """The layer's bias, if it has one."""
        return self.layer.bias

    def logits(self, hidden_BD: Tensor) -> Tensor:
        """(B, V) float32, through the layer (whose weights may be tiled)."""
        return self._shaped(self.layer(self._scaled(hidden_BD)))

    def sampling_logits(self, hidden_BD: Tensor) -> Tensor:
        """The same numbers (B, V), left in the dtype of the model where nothing is done to them after the product: half the
        memory of a large vocabulary."""
        if self.softcap is None:
            product_BV: Tensor = self.layer(self._scaled(hidden_BD))
            return product_BV
        return self.logits(hidden_BD)

    def logits_of_weights(self, hidden_BD: Tensor) -> Tensor:
        """(B, V) float32, from the weights alone: what the trainer computes, whatever else the layer does."""
        return self._shaped(functional.linear(self._scaled(hidden_BD), self.weight_VD, self.bias_V))

    def _scaled(self, hidden_BD: Tensor) -> Tensor:
        return hidden_BD if self.scale == 1 else hidden_BD * self.scale

    def _shaped(self, raw_BV: Tensor) -> Tensor:
        logits_BV = raw_BV.float()
        if self.softcap is not None:
            logits_BV = self.softcap * torch.tanh(logits_BV / self.softcap)
        return logits_BV


def find_head(model: PreTrainedModel) -> Head:
    """The output layer of a model, by reference.

    Raises:
        ModelError: the model has no linear output layer.
    """
    layer = model.get_output_embeddings()
    if not isinstance(layer, nn.Linear):
        raise ModelError(
            f"{type(model).__name__} has no linear output layer, so it is no causal LM that can be trained"
        )
    config = model.config
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    scale /= float(getattr(config, "logits_scaling", None) or 1.0)
    return Head(layer, getattr(config, "final_logit_softcapping", None), scale)
