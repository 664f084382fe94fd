"""Worker: dunwu's embedded engine on the cells of the generation comparison.

python -m benchmarks.dunwu_generate '{"model": FOLDER, "dtype": "bfloat16"}'
"""

from collections.abc import Sequence

from benchmarks.generation_worker import Generate, serve
from benchmarks.worker import Channel
from benchmarks.workload import Cell, argument_from_argv
from dunwu.config.training import ModelConfig
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine


def make_generate(policy: Policy) -> Generate:
    """The engine as `dunwu run` makes it; no token ends a completion early."""
    engine = EmbeddedEngine(policy)

    def generate(prompts: Sequence[Sequence[int]], cell: Cell) -> list[tuple[int, ...]]:
        sampling = SamplingParams(
            max_new_tokens=cell.new_tokens, temperature=cell.temperature, stop_token_ids=()
        )
        first = cell.seed * cell.num_sequences
        requests = [
            GenerationRequest(
                tuple(ids), tuple(range(first + p * cell.group_size, first + (p + 1) * cell.group_size))
            )
            for p, ids in enumerate(prompts)
        ]
        return [c.token_ids for of_prompt in engine.generate(requests, sampling) for c in of_prompt]

    return generate


def main() -> None:
    """Load, then generate on demand."""
    channel, argument = Channel(), argument_from_argv()
    policy = load_policy(ModelConfig(path=argument["model"], dtype=argument["dtype"], device="cpu"))
    serve(channel, policy.tokenizer, make_generate(policy), ("dunwu", "transformers", "torch"))


if __name__ == "__main__":
    main()
