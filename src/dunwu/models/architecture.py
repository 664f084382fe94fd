"""What a model's configuration alone tells about whether it can be trained packed, before any weight is read.

`packability` looks again once the model is loaded.
"""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from dunwu.errors import ModelError

_LENGTH_DEPENDENT_ROPE = ("dynamic", "longrope")
_KNOWN_LAYER_TYPES = {"full_attention", "sliding_attention"}


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
    strange = set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYER_TYPES
    if strange:
        raise ModelError(
            f"{kind} with layers of type {', '.join(sorted(strange))}; dunwu packs {' and '.join(sorted(_KNOWN_LAYER_TYPES))}"
        )
    for rope in _rope_types(config):
        if rope in _LENGTH_DEPENDENT_ROPE:
            raise ModelError(
                f"{kind} with rope type {rope}, which depends on the longest sequence of a batch, so that "
                "sampling and training would disagree; set rope_parameters to a fixed type (default, linear, "
                "yarn, llama3)"
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


def _rope_types(config: Any) -> set[str]:
    """The rope types named in a configuration, per layer type or for all."""
    found: set[str] = set()
    parameters = getattr(config, "rope_parameters", None) or {}
    for part in (parameters, *(value for value in parameters.values() if isinstance(value, dict))):
        found.add(str(part.get("rope_type") or "default"))
    return found
