"""Our attention in transformers' model classes: one function, registered under the name `dunwu`.

transformers calls it in every attention layer with the layer's queries, keys and values; what they attend to
is said by the context that `Policy` passes through the model's keyword arguments (a packed plan in training
and scoring, a cache plan in generation). Nothing is read from globals, and no mask is made by transformers
for this name. What a layer asks for beyond that (sliding window, softcap) arrives as arguments; what we do
not know is refused, never ignored.

Shape legend: T tokens of the row, H query heads, K key/value heads, D head size of queries and keys, E of
values.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface

from dunwu.errors import ModelError

ATTENTION_NAME = "dunwu"

# Arguments that transformers' layers pass and that change nothing here: bookkeeping of other attention
# backends, and positions, which the context knows already.
_HARMLESS = frozenset(
    {
        "position_ids",
        "position_embeddings",
        "past_key_values",
        "past_key_value",
        "cache_position",
        "use_cache",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "return_dict",
        "is_causal",
        "logits_to_keep",
        "num_items_in_batch",
    }
)


@dataclass(frozen=True)
class LayerAttention:
    """What one layer asks of attention beyond its queries, keys and values."""

    layer: int
    scale: float
    sliding_window: int | None = None
    """Tokens that a query sees, itself included; None: all before it."""
    softcap: float | None = None
    """Scores are cut to softcap * tanh(score / softcap); None: not cut."""


class AttentionContext(Protocol):
    """Says which rows of a row of tokens attend to which keys."""

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        """The attention output (T, H, E) of one layer."""
        ...


def dunwu_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dunwu_context: AttentionContext | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Hand one layer's attention to the context of this forward pass.

    Args:
        query: (1, H, T, D); key: (1, K, T, D); value: (1, K, T, E).
        attention_mask: None; transformers makes no mask for this attention.
        dunwu_context: what attends to what.
    Returns:
        (1, T, H, E) and None, as transformers wants it.
    Raises:
        ModelError: the layer asks for something that this attention does not know, or the context did not
        arrive.
    """
    if dunwu_context is None:
        raise ModelError(
            f"{type(module).__name__} does not pass keyword arguments on to its attention, so it cannot be "
            "trained packed; use an architecture whose layers follow transformers' AttentionInterface"
        )
    unknown = sorted(name for name, value in others.items() if value is not None and name not in _HARMLESS)
    if attention_mask is not None:
        unknown.append("attention_mask")
    if unknown:
        raise ModelError(
            f"{type(module).__name__} asks for {', '.join(unknown)} in its attention, which dunwu's packed "
            "attention does not know; this architecture cannot be trained"
        )
    layer = LayerAttention(
        layer=int(module.layer_idx),  # type: ignore[arg-type]
        scale=query.shape[-1] ** -0.5 if scaling is None else float(scaling),
        sliding_window=sliding_window,
        softcap=softcap,
    )
    query_THD, key_TKD, value_TKE = (part[0].transpose(0, 1) for part in (query, key, value))
    output_THE = dunwu_context.attend(query_THD, key_TKD, value_TKE, layer)
    return output_THE.unsqueeze(0), None


def register_attention() -> None:
    """Make `dunwu` an attention implementation that transformers models can be loaded with (idempotent)."""
    AttentionInterface.register(ATTENTION_NAME, dunwu_attention)
