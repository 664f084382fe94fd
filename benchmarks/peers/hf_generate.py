"""Worker: transformers' `generate` on the cells of the generation comparison, as a user of it on a CPU would call it.

One padded batch of all prompts, each expanded to its samples; SDPA attention, dynamic KV cache.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.generation_worker import Generate, serve
from benchmarks.worker import Channel
from benchmarks.workload import Cell, argument_from_argv


def make_generate(model: Any, pad_token_id: int) -> Generate:
    """`model.generate` with the end of sequence forbidden until the last token."""

    @torch.inference_mode()
    def generate(prompts: Sequence[Sequence[int]], cell: Cell) -> list[list[int]]:
        width = max(map(len, prompts))
        padding = [[pad_token_id] * (width - len(ids)) for ids in prompts]
        input_ids = torch.tensor([[*pad, *ids] for pad, ids in zip(padding, prompts, strict=True)])
        mask = torch.tensor([[0] * len(pad) + [1] * (width - len(pad)) for pad in padding])
        sampling: dict[str, Any] = {"do_sample": False}
        if cell.temperature:
            torch.manual_seed(cell.seed)
            sampling = {"do_sample": True, "temperature": cell.temperature, "top_k": 0, "top_p": 1.0}
        if not cell.temperature:  # greedy search returns one sequence: the samples are rows of their own
            input_ids = input_ids.repeat_interleave(cell.group_size, 0)
            mask = mask.repeat_interleave(cell.group_size, 0)
        output = model.generate(
            input_ids=input_ids,
            attention_mask=mask,
            num_return_sequences=cell.group_size if cell.temperature else 1,
            max_new_tokens=cell.new_tokens,
            min_new_tokens=cell.new_tokens,
            pad_token_id=pad_token_id,
            **sampling,
        )
        return output[:, width:].tolist()

    return generate


def main() -> None:
    """Load, then generate on demand."""
    channel, argument = Channel(), argument_from_argv()
    tokenizer = AutoTokenizer.from_pretrained(argument["model"])
    dtype = getattr(torch, argument["dtype"])
    model: Any = AutoModelForCausalLM.from_pretrained(
        argument["model"], dtype=dtype, attn_implementation="sdpa"
    ).eval()
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    serve(channel, tokenizer, make_generate(model, pad), ("transformers", "torch"))


if __name__ == "__main__":
    main()
