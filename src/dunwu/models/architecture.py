"""Whether an architecture can be trained packed: what its configuration tells before any weight is read, and
what a few tokens show once it is loaded.

The second check is what makes "any Hugging Face causal LM" safe: an architecture whose tokens reach each
other by another way than our attention, or whose logits are more than we know, is refused by name instead of
trained wrongly.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from dunwu.errors import ModelError
from dunwu.models.attention import LayerAttention
from dunwu.models.head import find_head
from dunwu.models.packed_plan import PackedPlan, make_plan
from dunwu.records import Segment

_LENGTH_DEPENDENT_ROPE = ("dynamic", "longrope")
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.02}


def check_config(config: Any, name: str) -> None:
    """Refuse what a configuration alone rules out.

    Raises:
        ModelError: encoder-decoder, quantised, no causal LM class, an attention that cannot be replaced, or a
        rotary
            embedding that depends on the longest sequence of a batch.
    """
    kind = f"{name} is a {config.model_type} model"
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{kind}, an encoder-decoder; dunwu trains decoder-only causal language models")
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(f"{kind} with quantised weights; give the folder of the unquantised model")
    remote = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not remote:
        raise ModelError(f"{kind}, for which transformers has no causal language model class")
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        cls: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        if getattr(cls, "_is_stateful", False) or not cls._supports_attention_backend:
            raise ModelError(
                f"{kind}, whose {cls.__name__} keeps a state or an attention of its own that cannot be "
                "packed; use a model of pure attention layers such as Llama, Qwen, Gemma or DeepSeek-V3"
            )
    for rope in _rope_types(config):
        if rope in _LENGTH_DEPENDENT_ROPE:
            raise ModelError(
                f"{kind} with rope type {rope}, which depends on the longest sequence of a batch, so that "
                "sampling and training would disagree; set rope_parameters to a fixed type (default, linear, "
                "yarn, llama3)"
            )


@torch.no_grad()
def check_packable(model: PreTrainedModel) -> None:
    """Run a few tokens and see that every layer used our attention, that packed neighbours do not touch each
    other, and that the output layer is the one we apply.

    Raises:
        ModelError: one of them does not hold.
    """
    name = type(model).__name__
    ids = torch.tensor([3, 5, 2, 7, 11]) % count_embeddings(model)
    segments = [Segment(0, 3), Segment(3, 5)]
    positions = torch.tensor([0, 1, 2, 0, 1])
    training = model.training
    model.eval()
    try:
        packed, layers, logits = _probe(model, ids, positions, segments)
        alone, _, _ = _probe(model, ids[3:], positions[3:], [Segment(0, 2)])
    except (TypeError, AttributeError, RuntimeError, KeyError) as error:
        raise ModelError(f"{name} cannot be run packed ({type(error).__name__}: {error})") from error
    finally:
        model.train(training)
    expected = int(model.config.get_text_config().num_hidden_layers)
    if len(layers) != expected:
        raise ModelError(
            f"{name} has {expected} layers, and {len(layers)} of them use replaceable attention; a model "
            "with state-space, convolution or recurrent layers cannot be trained packed"
        )
    tolerance = _TOLERANCE[model.dtype] * (1 + float(alone.abs().max()))
    if float((packed[3:] - alone).abs().max()) > tolerance:
        raise ModelError(
            f"{name} lets packed sequences influence each other outside attention; "
            "it cannot be trained packed"
        )
    difference = float((find_head(model).logits(packed.to(model.dtype)) - logits).abs().max())
    if difference > _TOLERANCE[model.dtype] * (1 + float(logits.abs().max())):
        raise ModelError(
            f"{name} does something to its logits that dunwu does not know (they differ by "
            f"{difference:.3g}); it cannot be trained"
        )


def count_embeddings(model: PreTrainedModel) -> int:
    """Rows of the input embedding; token ids are below it."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]


def disable_dropout(model: nn.Module) -> None:
    """Switch dropout off for good: the policy that samples and the policy that is trained must be the same
    function.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


class _Recorder:
    """A packed plan that notes which layers asked it."""

    def __init__(self, plan: PackedPlan) -> None:
        self.plan = plan
        self.layers: set[int] = set()

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        self.layers.add(layer.layer)
        return self.plan.attend(query_THD, key_TKD, value_TKE, layer)


def _probe(
    model: PreTrainedModel, ids_T: Tensor, positions_T: Tensor, segments: list[Segment]
) -> tuple[Tensor, set[int], Tensor]:
    """Hidden states, layers seen and the model's own logits, all float32."""
    device = model.device
    recorder = _Recorder(make_plan(segments, len(ids_T), device))
    arguments: dict[str, Any] = {
        "input_ids": ids_T[None].to(device),
        "position_ids": positions_T[None].to(device),
        "use_cache": False,
        "dunwu_context": recorder,
    }
    hidden_TD = model.base_model(**arguments).last_hidden_state[0]
    logits_TV = model(**arguments).logits[0]
    return hidden_TD.float(), recorder.layers, logits_TV.float()


def _rope_types(config: Any) -> set[str]:
    """The rope types named in a configuration, per layer type or for all."""
    found: set[str] = set()
    parameters = getattr(config, "rope_parameters", None) or {}
    for part in (parameters, *(value for value in parameters.values() if isinstance(value, dict))):
        found.add(str(part.get("rope_type") or "default"))
    return found
