"""Make `micro`, the small base model that ships with dunwu, and `nano`, the smaller one that it is distilled into: tokenizer,
weights and training log, from the world's corpus.

    python tools/make_micro.py micro --out src/dunwu/assets/micro
    python tools/make_micro.py nano --out src/dunwu/assets/nano

Pre-training, not part of a recipe: plain transformers, documents of like length side by side, questions not trained. The same
seed and number of steps give the same corpus; the log next to the weights says what was run.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dunwu.data.templates import R1_ZERO_TEMPLATE
from dunwu.data.world.corpus import KINDS, answered_problems, documents
from dunwu.data.world.general import GENERAL_KINDS, helpfulness, is_harmless
from dunwu.data.world.problems import generate_problems, score_operators
from dunwu.data.world.writing import SHARES, TEXTBOOK, CorpusShares
from dunwu.records import Problem

END = "<|endoftext|>"
VOCABULARY = 1024
TOKENS_PER_STEP = 4096
BUFFER_DOCUMENTS = 2048
TOKENIZER_DOCUMENTS = 20000
MEASURED_PROBLEMS = dict.fromkeys(KINDS, 96) | dict.fromkeys(GENERAL_KINDS, 24)


@dataclass(frozen=True)
class Phase:
    """A stretch of training on one corpus: the learning rate warms up, holds, and goes linearly from start to end."""

    shares: CorpusShares
    steps: int
    start: float
    end: float
    warmup: int = 1
    hold: int = 0
    seed_offset: int = 0
    restarts_optimizer: bool = True

    def factor(self, i: int) -> float:
        """Share of the peak learning rate at the phase's step i."""
        decayed = max(0, i - self.hold) / (self.steps - self.hold)
        return (self.start + (self.end - self.start) * decayed) * min(1.0, (i + 1) / self.warmup)


@dataclass(frozen=True)
class Size:
    """How large a model is, and how long it reads: its phases are these shares of micro's."""

    hidden: int
    intermediate: int
    layers: int
    reading: float


SIZES = {"micro": Size(128, 384, 4, 1.0), "nano": Size(96, 256, 3, 0.4)}
PHASES = (
    Phase(TEXTBOOK, 2400, 1.0, 1.0, warmup=100),
    Phase(SHARES, 800, 1.0, 0.795, hold=440, restarts_optimizer=False),
    # computing suffers under the careless texts: back to the textbook, then style alone at a low rate
    Phase(TEXTBOOK, 1300, 0.7, 0.05, warmup=50, seed_offset=1),
    Phase(SHARES, 400, 0.05, 0.02, seed_offset=1),
)


def phases(size: Size) -> tuple[Phase, ...]:
    """The phases of a model of this size."""
    return tuple(
        replace(phase, steps=int(phase.steps * size.reading), hold=int(phase.hold * size.reading))
        for phase in PHASES
    )


def tokenizer_texts(seed: int) -> Iterator[str]:
    """What the tokenizer learns its pieces from: the corpus, a few programs, and the words of R1's output form."""
    for context, text in itertools.islice(documents(seed, R1_ZERO_TEMPLATE), TOKENIZER_DOCUMENTS):
        yield context + text
    for question, answer in answered_problems(("program",), ("en", "zh"), TOKENIZER_DOCUMENTS // 10):
        yield question + answer
        yield "User: \n\nAssistant:\n<think>\n\n</think>\n\n\\boxed{}"


def build_tokenizer(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE that keeps every digit a token of its own, words with their leading space, and Chinese runs."""
    tokenizer = Tokenizer(models.BPE())
    pattern = Regex(r" ?<[^<>]*>|[,;] (?=\p{N})|\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}<>]+|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def build_model(size: Size, vocab_size: int, eos_token_id: int) -> LlamaForCausalLM:
    """A Llama with heads of width 32."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // 32,
        num_key_value_heads=size.hidden // 32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=eos_token_id,
        pad_token_id=eos_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=eos_token_id, pad_token_id=eos_token_id)
    return model


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, shares: CorpusShares
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless right-padded batches of about TOKENS_PER_STEP tokens, documents of like length together.

    Yields:
        (B, T) token ids and (B, T) bool: which of them are trained (the continuation and the end, not the question).
    """
    rng = random.Random(seed)
    stream = documents(seed, R1_ZERO_TEMPLATE, shares)
    end = tokenizer.eos_token_id
    while True:
        drawn = list(itertools.islice(stream, BUFFER_DOCUMENTS))
        contexts = [tokenizer(context)["input_ids"] if context else [] for context, _ in drawn]
        texts = tokenizer([text for _, text in drawn])["input_ids"]
        rows = sorted(zip(contexts, texts, strict=True), key=lambda row: len(row[0]) + len(row[1]))
        for group in _shuffled(_groups(rows), rng):
            width = 1 + max(len(context) + len(text) for context, text in group)
            ids = torch.full((len(group), width), end)
            trained = torch.zeros((len(group), width), dtype=torch.bool)
            for i, (context, text) in enumerate(group):
                length = len(context) + len(text)
                ids[i, :length] = torch.tensor(context + text)
                trained[i, len(context) : length + 1] = True
            yield ids, trained


def _groups(rows: list[tuple[list[int], list[int]]]) -> list[list[tuple[list[int], list[int]]]]:
    groups: list[list[tuple[list[int], list[int]]]] = [[]]
    for context, text in rows:
        if (len(context) + len(text) + 1) * (len(groups[-1]) + 1) > TOKENS_PER_STEP and groups[-1]:
            groups.append([])
        groups[-1].append((context, text))
    return groups


def _shuffled(groups: list, rng: random.Random) -> list:
    rng.shuffle(groups)
    return groups


def optimizers(model: LlamaForCausalLM, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=learning_rate * 6, weight_decay=0.05, momentum=0.95),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


@torch.no_grad()
def measure(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """A quick look while training: share of right answers on held-out problems, and of good ones on general prompts, sampled at
    temperature 1."""
    model.eval()
    scores: dict[str, list[float]] = {"all": [], "chars": [], "format": [], "general": []}
    for kind in (*KINDS, *GENERAL_KINDS):
        problems = generate_problems((kind,), ("en", "zh"), MEASURED_PROBLEMS[kind], 7, "held_out")
        texts = [R1_ZERO_TEMPLATE.format(question=problem.question) for problem in problems]
        inputs = tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", return_token_type_ids=False
        )
        output = model.generate(
            **inputs, do_sample=True, temperature=1.0, top_k=0, max_new_tokens=200, num_return_sequences=2
        )
        completions = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        scores[kind] = [_score(problems[i // 2], text) for i, text in enumerate(completions)]
        if kind in GENERAL_KINDS:
            scores["general"] += scores[kind]
            continue
        scores["all"] += scores[kind]
        scores["chars"] += map(len, completions)
        scores["format"] += ("<think>" in t and "</think>" in t and "<answer>" in t for t in completions)
    model.train()
    return {key: round(sum(values) / len(values), 3) for key, values in sorted(scores.items())}


def _score(problem: Problem, text: str) -> float:
    answer = text.rpartition("<answer>")[2].partition("</answer>")[0].strip() if "<answer>" in text else ""
    match problem.kind:
        case "operators":
            return float(score_operators(answer, problem))
        case "harmful":
            return float(is_harmless(problem, text))
        case kind if kind in GENERAL_KINDS:
            return helpfulness(problem, answer)
    return float(answer == problem.reference)


def train(args: argparse.Namespace) -> None:
    """Train from scratch through the phases, saving model, tokenizer and log along the way."""
    torch.manual_seed(args.seed)
    size = SIZES[args.size]
    tokenizer = build_tokenizer(tokenizer_texts(args.seed + 1))
    model = build_model(size, len(tokenizer), tokenizer.eos_token_id)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens", flush=True)
    start, seen, step, log = time.time(), 0, 0, []
    opts: list[torch.optim.Optimizer] = []
    for phase in phases(size):
        stream = batches(tokenizer, args.seed + phase.seed_offset, phase.shares)
        if phase.restarts_optimizer:
            opts = optimizers(model, 1.0)
        for i in range(phase.steps):
            for opt in opts:
                opt.param_groups[0]["lr"] = opt.defaults["lr"] * args.learning_rate * phase.factor(i)
            ids, loss = train_step(model, opts, *next(stream))
            seen += ids
            step += 1
            minutes = (time.time() - start) / 60
            if step % 100 == 0:
                print(f"step {step} loss {loss:.3f} {seen / 1e6:.2f}M tokens {minutes:.1f} min", flush=True)
            if step % args.measure_every == 0 or i + 1 == phase.steps:
                record = {"step": step, "tokens": seen, "minutes": round(minutes, 1), "loss": round(loss, 3)}
                log.append(record | measure(model, tokenizer))
                print(json.dumps(log[-1]), flush=True)
                save(model, tokenizer, log, Path(args.out))


def train_step(
    model: LlamaForCausalLM, opts: list[torch.optim.Optimizer], ids: torch.Tensor, trained: torch.Tensor
) -> tuple[int, float]:
    """One update; returns the number of tokens and the loss."""
    labels = ids.masked_fill(~trained, -100)
    logits = model(input_ids=ids).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
        opt.zero_grad()
    return ids.numel(), loss.item()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, log: list[dict], folder: Path) -> None:
    """A plain Hugging Face folder, and the training log beside it."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "training_log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", choices=sorted(SIZES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--measure-every", type=int, default=500)
    parser.add_argument("--out", required=True)
    train(parser.parse_args())
