"""Which dtype a device computes fast in.

bfloat16 without instructions for it is no small loss: on a CPU that has AVX2 alone, its matrix products take about 70 times as
long as those in float32. Called by `loading`, and by the pipeline before a run.
"""

import warnings
from collections.abc import Mapping

import torch

from dunwu.config.processor import cpu_features, cpu_fields, multiplies_bfloat16
from dunwu.config.training import ModelConfig
from dunwu.errors import DunwuWarning, ModelError

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CUDA_BFLOAT16_CAPABILITY = (8, 0)
_SMALL_MODEL_PARAMETERS = 20_000_000  # below, a slow dtype costs seconds


def torch_device(name: str) -> torch.device:
    """The device that a recipe's `device` means here. Raises ModelError: cuda asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("model.device is cuda and torch sees no CUDA device; use auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def settled(config: ModelConfig) -> ModelConfig:
    """The same model with `dtype = "auto"` replaced by what its device computes fastest in; others as they are.

    Raises:
        ModelError: its device is not there.
    """
    if config.dtype != "auto":
        return config
    fast = computes_bfloat16(torch_device(config.device))
    return config.model_copy(update={"dtype": "bfloat16" if fast else "float32"})


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _CUDA_BFLOAT16_CAPABILITY
    return multiplies_bfloat16(cpu_features(cpu_fields()))


def warn_of_slow_dtype(model: torch.nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Warn where a model of some size is to compute in bfloat16 on a device that has no instructions for it."""
    if dtype != torch.bfloat16 or computes_bfloat16(device):
        return
    if sum(parameter.numel() for parameter in model.parameters()) < _SMALL_MODEL_PARAMETERS:
        return
    warnings.warn(
        f"the model is in bfloat16, for which this {device.type} has no instructions: it takes many times as long as in float32. "
        'Set dtype = "auto" or "float32" for it',
        DunwuWarning,
        stacklevel=2,
    )
