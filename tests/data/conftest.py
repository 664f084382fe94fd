"""Small tokenizers of the families whose chat templates lie in templates/, made without network."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEMPLATES = Path(__file__).parent / "templates"
TEXT = [
    "What is two plus two? Four it is. And three? Five it is. Two and two. One more. user assistant model system",
    "think answer User Assistant You are a helpful assistant. Be brief.\n\nHi\n\nHi\n\n",
] * 20
QWEN_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_WORDS = QWEN_WORDS.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def train(core: Tokenizer, *, alphabet: Sequence[str] = (), byte_tokens: bool = False) -> Tokenizer:
    """Learn words from TEXT; with `byte_tokens` the vocabulary begins with <0x00> ... as SentencePiece's does."""
    special = [f"<0x{byte:02X}>" for byte in range(256)] if byte_tokens else []
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=list(alphabet), show_progress=False
    )
    core.train_from_iterator(TEXT, trainer)
    return core


def byte_level(words: str, *, nfc: bool = False, trim_offsets: bool = False) -> Tokenizer:
    """A byte-level BPE, as Qwen's, Llama's and DeepSeek's are."""
    core = Tokenizer(models.BPE())
    if nfc:
        core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return train(core, alphabet=pre_tokenizers.ByteLevel.alphabet())


def gemma_core() -> Tokenizer:
    """A BPE over text whose spaces are written as a mark, with bytes to fall back on, as Gemma's is."""
    core = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[^▁\n]+|\n+|▁"), behavior="isolated")
    return train(core, byte_tokens=True)


def metaspace_core() -> Tokenizer:
    """A BPE that puts a space before every text, as Llama 2's does."""
    core = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return train(core, byte_tokens=True)


def dress(
    core: Tokenizer,
    *,
    special: Sequence[str],
    plain: Sequence[str] = (),
    bos: str | None = None,
    eos: str,
    template: str | None = None,
) -> PreTrainedTokenizerFast:
    """A transformers tokenizer with added tokens; one with `bos` puts it before every text that it is not told not to."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=eos, bos_token=bos, clean_up_tokenization_spaces=False
    )
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    if bos is not None:
        add_bos = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.bos_token_id)]
        )
        before = tokenizer.backend_tokenizer.post_processor
        tokenizer.backend_tokenizer.post_processor = (
            add_bos if before is None else processors.Sequence([before, add_bos])
        )
    tokenizer.chat_template = template
    return tokenizer


def stock(name: str) -> str:
    return (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")


CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
R1 = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]
THINK = ["<think>", "</think>"]
CHAT_FAMILIES: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "qwen2.5-base": lambda: dress(
        byte_level(QWEN_WORDS, nfc=True), special=CHATML, eos=CHATML[0], template=stock("qwen2.5-base")
    ),
    "qwen2.5-instruct": lambda: dress(
        byte_level(QWEN_WORDS, nfc=True), special=CHATML, eos=CHATML[2], template=stock("qwen2.5-instruct")
    ),
    "qwen3": lambda: dress(
        byte_level(QWEN_WORDS, nfc=True), special=CHATML, plain=THINK, eos=CHATML[2], template=stock("qwen3")
    ),
    "llama-3.1": lambda: dress(
        byte_level(LLAMA_WORDS, trim_offsets=True),
        special=LLAMA,
        bos=LLAMA[0],
        eos=LLAMA[4],
        template=stock("llama-3.1"),
    ),
    "gemma-3": lambda: dress(
        gemma_core(),
        special=["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
        bos="<bos>",
        eos="<eos>",
        template=stock("gemma-3"),
    ),
    "r1-distill": lambda: dress(
        byte_level(QWEN_WORDS),
        special=R1,
        plain=["<｜User｜>", "<｜Assistant｜>", *THINK],
        bos=R1[0],
        eos=R1[1],
        template=stock("r1-distill"),
    ),
}


@pytest.fixture(scope="session")
def chat_tokenizer() -> Callable[..., Any]:
    """Makes the tokenizer of a family, with its stock template: chat_tokenizer(name, template=..., eos=...)."""
    made: dict[str, bytes] = {}
    import pickle

    def make(name: str, *, template: str | None = None) -> PreTrainedTokenizerFast:
        if name not in made:
            made[name] = pickle.dumps(CHAT_FAMILIES[name]())
        tokenizer = pickle.loads(made[name])
        if template is not None:
            tokenizer.chat_template = template
        return tokenizer

    return make


@pytest.fixture
def spaced_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that puts a space before every text."""
    return dress(metaspace_core(), special=["<s>", "</s>"], bos="<s>", eos="</s>")
