"""Whether a loaded model really can be trained packed: a few tokens show it.

This is what makes "any Hugging Face causal LM" safe. An architecture whose tokens reach each other by another
way than our attention, whose layers ask for something that did not arrive, or whose logits are more than we
know, is refused by name instead of trained wrongly. Called by `loading` for every model.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from dunwu.errors import ModelError
from dunwu.models.architecture import count_embeddings
from dunwu.models.attention import ATTENTION_NAME, LayerAttention
from dunwu.models.head import find_head
from dunwu.models.packed_plan import PackedPlan, make_plan
from dunwu.records import Segment

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.02}


@torch.no_grad()
def check_packable(model: PreTrainedModel) -> None:
    """Run a few tokens and see that every layer uses our attention and is given its window, that packed
    neighbours do not touch each other, that the result is transformers' own, and that the output layer is the
    one that we apply.

    Raises:
        ModelError: one of them does not hold.
    """
    name = type(model).__name__
    ids = torch.tensor([3, 5, 2, 7, 11], device=model.device) % count_embeddings(model)
    positions = torch.tensor([0, 1, 2, 0, 1], device=model.device)
    training = model.training
    model.eval()
    try:
        packed = _probe(model, ids, positions, [Segment(0, 3), Segment(3, 5)])
        alone = _probe(model, ids[3:], positions[3:], [Segment(0, 2)])
        eager_TD = _run_eager(model, ids[3:], positions[3:])
    except (TypeError, AttributeError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{name} cannot be run packed ({type(error).__name__}: {error})") from error
    finally:
        model.train(training)
    _check_layers(model, packed)
    if _differ(packed.hidden_TD[3:], alone.hidden_TD, model.dtype):
        raise ModelError(
            f"{name} lets packed sequences influence each other outside attention; it cannot be trained packed"
        )
    if _differ(alone.hidden_TD, eager_TD, model.dtype):
        raise ModelError(
            f"{name} does more in its attention than it asks of a replacement; it cannot be trained packed"
        )
    logits_TV = find_head(model).logits_of_weights(packed.hidden_TD.to(model.dtype))
    if _differ(logits_TV, packed.logits_TV, model.dtype):
        raise ModelError(
            f"{name} does something to its logits that dunwu does not know; it cannot be trained"
        )


@dataclass(frozen=True)
class _Probe:
    """What a few tokens gave, float32, and what each layer asked for."""

    hidden_TD: Tensor
    logits_TV: Tensor
    layers: dict[int, LayerAttention]


class _Recorder:
    """A packed plan that notes what each layer asks for."""

    def __init__(self, plan: PackedPlan) -> None:
        self.plan = plan
        self.layers: dict[int, LayerAttention] = {}

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        self.layers[layer.layer] = layer
        return self.plan.attend(query_THD, key_TKD, value_TKE, layer)


def _probe(model: PreTrainedModel, ids_T: Tensor, positions_T: Tensor, segments: list[Segment]) -> _Probe:
    recorder = _Recorder(make_plan(segments, len(ids_T), model.device))
    arguments: dict[str, Any] = {
        "input_ids": ids_T[None],
        "position_ids": positions_T[None],
        "use_cache": False,
        "dunwu_context": recorder,
    }
    hidden_TD = model.base_model(**arguments).last_hidden_state[0]
    logits_TV = model(**arguments).logits[0]
    return _Probe(hidden_TD.float(), logits_TV.float(), recorder.layers)


def _run_eager(model: PreTrainedModel, ids_T: Tensor, positions_T: Tensor) -> Tensor:
    """Hidden states of one sequence by transformers' own attention."""
    model.set_attn_implementation("eager")
    try:
        output = model.base_model(input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False)
    finally:
        model.set_attn_implementation(ATTENTION_NAME)
    return output.last_hidden_state[0].float()


def _check_layers(model: PreTrainedModel, probe: _Probe) -> None:
    """Every layer asked for attention, and those that the configuration calls sliding asked for their window."""
    name = type(model).__name__
    config: Any = model.config.get_text_config()
    expected = int(config.num_hidden_layers)
    if len(probe.layers) != expected:
        raise ModelError(
            f"{name} has {expected} layers, and {len(probe.layers)} of them use replaceable attention; a model "
            "with state-space, convolution or recurrent layers cannot be trained packed"
        )
    kinds = getattr(config, "layer_types", None) or []
    for layer, kind in enumerate(kinds):
        window = probe.layers[layer].sliding_window
        if (kind == "sliding_attention") != (window is not None):
            raise ModelError(
                f"layer {layer} of {name} is {kind} and asks for a window of {window}; it cannot be trained"
            )


def _differ(left: Tensor, right: Tensor, dtype: torch.dtype) -> bool:
    """Whether two float32 results differ by more than rounding in `dtype`; NaN differs from everything."""
    limit = TOLERANCE[dtype] * (1 + float(right.abs().max()))
    return not float((left - right).abs().max()) <= limit
