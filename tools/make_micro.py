"""Make `micro`, the small base model that ships with dunwu: tokenizer, weights and training log, from the world's corpus.

    python tools/make_micro.py --steps 4400 --out src/dunwu/assets/micro

Pre-training, not part of a recipe: plain transformers, documents of like length side by side, questions not trained. The same
seed and number of steps give the same corpus; the log next to the weights says what was run.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dunwu.data.templates import R1_ZERO_TEMPLATE
from dunwu.data.world.corpus import SHARES, TEXTBOOK, CorpusShares, documents
from dunwu.data.world.problems import generate_problems

END = "<|endoftext|>"
VOCABULARY = 768
TOKENS_PER_STEP = 4096
TEXTBOOK_FRAC = 0.5  # of the steps; the rest is the web-like corpus
BUFFER_DOCUMENTS = 2048


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


def build_model(vocab_size: int, eos_token_id: int) -> LlamaForCausalLM:
    """A Llama of about 1 million parameters."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
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
def measure(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, num: int = 96, samples: int = 2
) -> dict[str, float]:
    """Share of right answers on held-out problems, sampled at temperature 1, by kind; a quick look while training."""
    from dunwu.data.world.problems import score_operators

    model.eval()
    result: dict[str, list[float]] = {}
    for kind in ("sum", "remainder", "operators"):
        problems = generate_problems((kind,), ("en", "zh"), num, 7, "held_out")
        texts = [R1_ZERO_TEMPLATE.format(question=p.question) for p in problems]
        inputs = tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", return_token_type_ids=False
        )
        output = model.generate(
            **inputs,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            max_new_tokens=200,
            num_return_sequences=samples,
        )
        completions = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for i, text in enumerate(completions):
            problem = problems[i // samples]
            _, tag, rest = text.rpartition("<answer>")
            answer = rest.partition("</answer>")[0].strip()
            right = bool(tag) and (
                score_operators(answer, problem) if kind == "operators" else answer == problem.reference
            )
            style = (
                "careful"
                if any(
                    w in text
                    for w in ("heck", "ait", "erify", "owever", "查", "等等", "验算", "但是", "ry", "试")
                )
                else ("bare" if len(text) < 60 and not any(c in text for c in "%=") else "short")
            )
            result.setdefault(f"{kind}/{style}", []).append(right)
            result.setdefault(kind, []).append(right)
            result.setdefault("all", []).append(right)
            result.setdefault("format", []).append("<think>" in text and "</think>" in text and tag != "")
            result.setdefault("chars", []).append(len(text))
    model.train()
    return {key: round(sum(v) / len(v), 3) for key, v in sorted(result.items())}


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    template = R1_ZERO_TEMPLATE
    sample = (context + text for context, text in itertools.islice(documents(args.seed + 1, template), 20000))
    tokenizer = build_tokenizer(sample)
    model = build_model(len(tokenizer), tokenizer.eos_token_id)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters, {len(tokenizer)} tokens", flush=True)
    opts = optimizers(model, args.learning_rate)
    peaks = [opt.param_groups[0]["lr"] for opt in opts]
    start, seen, log = time.time(), 0, []
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    textbook, web = batches(tokenizer, args.seed, TEXTBOOK), batches(tokenizer, args.seed, SHARES)
    for step in range(args.steps):
        done = step / args.steps
        factor = min(1.0, (step + 1) / 100) * min(1.0, max(0.02, (1 - done) / 0.4))
        for opt, peak in zip(opts, peaks, strict=True):
            opt.param_groups[0]["lr"] = peak * factor
        ids, trained = next(textbook if done < TEXTBOOK_FRAC else web)
        labels = ids.masked_fill(~trained, -100)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            logits = model(input_ids=ids).logits
            loss = torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad()
        seen += ids.numel()
        if step % 100 == 0:
            print(
                f"step {step} loss {loss.item():.3f} tokens {seen / 1e6:.2f}M {seen / (time.time() - start):.0f} tok/s",
                flush=True,
            )
        if step % args.measure_every == args.measure_every - 1:
            record = {
                "step": step + 1,
                "tokens": seen,
                "minutes": round((time.time() - start) / 60, 1),
                **measure(model, tokenizer),
            }
            log.append(record)
            print(json.dumps(record), flush=True)
            model.save_pretrained(out)
            tokenizer.save_pretrained(out)
    log.append(
        {
            "step": step,
            "tokens": seen,
            "minutes": round((time.time() - start) / 60, 1),
            **measure(model, tokenizer),
        }
    )
    print(json.dumps(log[-1]))
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=4400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--measure-every", type=int, default=500)
    parser.add_argument("--out", default="src/dunwu/assets/micro")
    train(parser.parse_args())
