"""Load and save policies as plain Hugging Face folders.

Called by stages, evaluation and the command line. What cannot be trained is refused as early as its
configuration tells.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from dunwu.config.check import model_folder
from dunwu.config.training import ModelConfig
from dunwu.errors import ModelError
from dunwu.kernels.build import warn_where_missing
from dunwu.models.architecture import check_config, count_embeddings, disable_dropout
from dunwu.models.attention import ATTENTION_NAME, register_attention
from dunwu.models.lean_layers import make_lean
from dunwu.models.packability import check_packable
from dunwu.models.policy import Policy
from dunwu.models.precision import DTYPES, settled, torch_device, warn_of_slow_dtype
from dunwu.models.smollm2 import smollm2_folder

_Loaded = TypeVar("_Loaded")


def resolve_model(path: str) -> str:
    """The folder (or hub name) that a recipe's model path means: `micro` and `smollm2` come with dunwu.

    Raises:
        ModelError: the folder is missing, or holds no config.json.
        DependencyError: `smollm2` cannot be fetched.
    """
    folder = smollm2_folder() if path == "smollm2" else model_folder(path)
    if folder is None:
        return path
    if not folder.is_dir():
        raise ModelError(
            f"the model folder {folder} does not exist; give a Hugging Face folder, a hub name (owner/name), "
            "`micro` or `smollm2`"
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"the folder {folder} holds no config.json, so it is no Hugging Face model folder")
    return str(folder)


def load_tokenizer(path: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model path.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    source = resolve_model(path)
    return read_or_explain(
        lambda: AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code),
        "tokenizer",
        source,
    )


def load_policy(config: ModelConfig) -> Policy:
    """Load a causal LM for training and sampling.

    Returns:
        A policy whose attention is ours, on its device, in eval mode, dropout switched off.
    Raises:
        ModelError: missing or unreadable files, weights that are not in the files, a tokenizer that does not
        fit, or an
            architecture that cannot be trained packed (`models.architecture`).
    """
    source = resolve_model(config.path)
    remote = config.trust_remote_code
    settings = read_or_explain(
        lambda: AutoConfig.from_pretrained(source, trust_remote_code=remote), "configuration", source
    )
    check_config(settings, config.path)
    tokenizer = load_tokenizer(config.path, trust_remote_code=remote)
    register_attention()
    loaded: Any = read_or_explain(
        lambda: AutoModelForCausalLM.from_pretrained(
            source,
            dtype=DTYPES[settled(config).dtype],
            attn_implementation=ATTENTION_NAME,
            trust_remote_code=remote,
            output_loading_info=True,
        ),
        "model",
        source,
    )
    model, info = loaded
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"{source} lacks {len(missing)} of the model's weights ({', '.join(missing[:3])}, ...); they "
            "would be random. Is the checkpoint complete, and a causal language model?"
        )
    device = torch_device(config.device)
    warn_of_slow_dtype(model, model.dtype, device)
    if device.type == "cpu":
        warn_where_missing()
    model.to(device).eval()
    return make_policy(model, tokenizer)


def make_policy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Policy:
    """A policy of a transformers model in memory, checked like a loaded one.

    Raises:
        ModelError: its architecture cannot be trained packed, or the tokenizer has more tokens than the
        model.
    """
    register_attention()
    model.set_attn_implementation(ATTENTION_NAME)
    disable_dropout(model)
    check_packable(model)
    make_lean(model)
    embeddings = count_embeddings(model)
    if len(tokenizer) > embeddings:
        raise ModelError(
            f"the tokenizer has {len(tokenizer)} tokens and the model embeds {embeddings}; "
            "they do not belong together"
        )
    _repair_generation_config(model)
    return Policy(model, tokenizer)


def save_policy(policy: Policy, folder: str | os.PathLike[str]) -> None:
    """Write a folder that `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` load.

    Not atomic: the caller writes into a temporary folder and renames it.
    """
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)


def read_or_explain(read: Callable[[], _Loaded], what: str, source: str) -> _Loaded:
    """Turn what transformers raises for unreadable files into one error that names the folder."""
    try:
        return read()
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"no {what} can be loaded from {source}: {first}") from error


def _repair_generation_config(model: PreTrainedModel) -> None:
    """Keep a checkpoint writable: transformers refuses to save sampling settings beside do_sample = False."""
    generation: Any = model.generation_config
    if generation is None:
        return
    try:
        generation.validate(strict=True)
    except ValueError:
        generation.do_sample = True
