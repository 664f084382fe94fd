"""What the workers of the generation comparison have in common: each loads, then generates the cells that it is given.

Imports no engine, so that it runs in any environment.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import Cell

Generate = Callable[[Sequence[Sequence[int]], Cell], Sequence[Sequence[int]]]
"""Prompts as token ids and a cell in; the token ids of every completion out."""


def serve(channel: Channel, tokenizer: Any, generate: Generate, packages: Sequence[str], **said: Any) -> None:
    """Say what is loaded, then time the cells that are asked for, until none is.

    The time is that of `generate` alone: from prompts as token ids to completions as token ids.
    """
    channel.send(versions=versions(*packages), threads=torch.get_num_threads(), **said)
    while True:
        cell = Cell(**channel.await_step())
        prompts = [chat_ids(tokenizer, question) for question in cell.questions()]
        start = time.perf_counter()
        completions = generate(prompts, cell)
        seconds = time.perf_counter() - start
        channel.send(
            seconds=seconds,
            generated_tokens=sum(map(len, completions)),
            completions=len(completions),
            prompt_tokens=sum(map(len, prompts)),
        )


def chat_ids(tokenizer: Any, question: str) -> list[int]:
    """A question in the model's chat template, as token ids."""
    messages = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
