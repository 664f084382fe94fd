"""Worker: dunwu's own fine-tuning step on an `SftWorkload`: the functions that the `sft` stage calls, in its order."""

import time
from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import SftWorkload, argument_from_argv
from dunwu.config.training import BatchConfig, ModelConfig, OptimizerConfig
from dunwu.data.chat_tokens import TokenSample
from dunwu.data.sft_packing import plan_epoch
from dunwu.models.loading import load_policy
from dunwu.models.policy import Policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sft_step import update_on_samples


class SftTrainer:
    """What the stage holds while it trains, and the plan of its epoch."""

    def __init__(self, policy: Policy, workload: SftWorkload) -> None:
        self.policy, self.workload = policy, workload
        config = OptimizerConfig(learning_rate=workload.learning_rate)
        self.optimizer = MasterAdamW(policy.model, config, workload.num_steps)
        self.batch = BatchConfig(micro_batch_tokens=workload.row_tokens)
        self.samples = [token_sample(number, ids) for number, ids in enumerate(workload.samples())]
        self.steps = self._plan()
        self.num_steps = 0

    def step(self) -> dict[str, float]:
        """Make the next step; returns its seconds and tokens."""
        samples = [self.samples[index] for index in next(self.steps)]
        self.num_steps += 1
        start = time.perf_counter()
        metrics = update_on_samples(
            self.policy,
            self.optimizer,
            samples,
            aggregation="token_mean",
            batch=self.batch,
            step=self.num_steps,
        )
        return {
            "seconds": time.perf_counter() - start,
            "trained_tokens": metrics["trained_tokens"],
            "rows": metrics["rows"],
        }

    def _plan(self) -> Iterator[tuple[int, ...]]:
        """The samples of each step: those of `rows_per_step` rows of the epoch's plan, so that every step is full."""
        workload = self.workload
        lengths = np.array([len(sample.token_ids) for sample in self.samples])
        rows = plan_epoch(lengths, batch_size=1, row_tokens=workload.row_tokens, seed=workload.seed)
        for start in range(0, len(rows), workload.rows_per_step):
            yield tuple(chain.from_iterable(rows[start : start + workload.rows_per_step]))


def token_sample(number: int, ids: list[int]) -> TokenSample:
    """A sample of which every token but the first is trained on."""
    trained = np.ones(len(ids), dtype=bool)
    trained[0] = False
    return TokenSample(f"sample {number}", np.array(ids, dtype=np.int32), trained)


def main() -> None:
    """Load, then step on demand."""
    channel, workload = Channel(), SftWorkload(**argument_from_argv())
    policy = load_policy(
        ModelConfig.model_validate({"path": workload.model, "dtype": workload.dtype, "device": "cpu"})
    )
    trainer = SftTrainer(policy, workload)
    channel.send(
        versions=versions("dunwu", "transformers", "torch"),
        threads=torch.get_num_threads(),
        num_parameters=sum(p.numel() for p in policy.model.parameters()),
    )
    while True:
        channel.await_step()
        channel.send(**trainer.step())


if __name__ == "__main__":
    main()
