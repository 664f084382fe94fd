"""dtype = "auto" is what the device computes fast in, and a slow dtype is warned of."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from dunwu.config import processor
from dunwu.config.training import ModelConfig
from dunwu.errors import DunwuWarning, ModelError
from dunwu.models import precision
from dunwu.models.loading import load_policy
from dunwu.models.precision import computes_bfloat16, settled, warn_of_slow_dtype
from dunwu.models.reward_model import load_reward_model, make_reward_model, save_reward_model

ZEN_3 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 fma avx avx2\n"
ZEN_4 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 fma avx avx2 avx512f avx512_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"
CPU = torch.device("cpu")


def cpu(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine's CPU be described by a text; None: by nothing."""
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(processor, "CPU_INFO", file)


@pytest.mark.parametrize(
    ("text", "dtype"), [(ZEN_3, "float32"), (ZEN_4, "bfloat16"), (ARM, "bfloat16"), (None, "float32")]
)
def test_auto_is_bfloat16_only_where_the_cpu_has_instructions_for_it(
    text: str | None, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu(text, tmp_path, monkeypatch)
    model = ModelConfig(path="micro", dtype="auto", device="cpu")
    assert settled(model) == model.model_copy(update={"dtype": dtype})
    assert load_policy(model).dtype == getattr(torch, dtype)


def test_a_dtype_that_is_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(ZEN_3, tmp_path, monkeypatch)
    model = ModelConfig(path="micro", dtype="bfloat16", device="cpu")
    assert settled(model) is model


def test_the_device_of_auto_must_be_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ModelError, match="sees no CUDA device"):
        settled(ModelConfig(path="micro", dtype="auto", device="cuda"))


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_cuda_has_bfloat16_from_ampere_on(
    capability: tuple[int, int], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert computes_bfloat16(torch.device("cuda")) == fast


def test_a_large_model_in_a_slow_dtype_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(ZEN_3, tmp_path, monkeypatch)
    large = nn.Linear(5000, 5000, device="meta")
    with pytest.warns(DunwuWarning, match='no instructions.*Set dtype = "auto" or "float32"'):
        warn_of_slow_dtype(large, torch.bfloat16, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_slow_dtype(large, torch.float32, CPU)
        warn_of_slow_dtype(nn.Linear(5, 5), torch.bfloat16, CPU)
        cpu(ZEN_4, tmp_path, monkeypatch)
        warn_of_slow_dtype(large, torch.bfloat16, CPU)


def test_both_loaders_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_policy) -> None:
    cpu(ZEN_3, tmp_path, monkeypatch)
    monkeypatch.setattr(precision, "_SMALL_MODEL_PARAMETERS", 1)
    folder = tmp_path / "judge"
    save_reward_model(make_reward_model(tiny_policy("llama"), judges="summary", seed=1), folder)
    for load, path in ((load_policy, "micro"), (load_reward_model, str(folder))):
        with pytest.warns(DunwuWarning, match="no instructions"):
            load(ModelConfig(path=path, dtype="bfloat16", device="cpu"))
