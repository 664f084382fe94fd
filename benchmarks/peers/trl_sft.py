"""Worker: TRL's SFTTrainer, packed, on an `SftWorkload`, configured as well as its users can on a CPU.

The steps are those of one ordinary `trainer.train()`; it waits at the beginning of each for the orchestrator.
"""

import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import SftWorkload, argument_from_argv


class MeasuredTrainer(SFTTrainer):
    """SFTTrainer with a count of the tokens in its loss; else unchanged."""

    trained_tokens = rows = 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.trained_tokens += int((inputs["labels"][:, 1:] != -100).sum())
        self.rows += self.args.per_device_train_batch_size
        return super().compute_loss(model, inputs, *args, **kwargs)


class StepOnDemand(TrainerCallback):
    """Holds the training loop at the beginning of each step; reports at the end of it."""

    def __init__(self, channel: Channel, settings: dict[str, Any]) -> None:
        self.channel, self.settings = channel, settings
        self.trainer: MeasuredTrainer | None = None
        self.start = 0.0

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.channel.send(
            versions=versions("trl", "transformers", "torch", "accelerate"),
            threads=torch.get_num_threads(),
            settings=self.settings,
        )

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        assert self.trainer is not None
        self.channel.await_step()
        self.trainer.trained_tokens = self.trainer.rows = 0
        self.start = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        assert self.trainer is not None
        seconds = time.perf_counter() - self.start
        self.channel.send(seconds=seconds, trained_tokens=self.trainer.trained_tokens, rows=self.trainer.rows)


def trainer_settings(workload: SftWorkload) -> dict[str, Any]:
    """What of SFTConfig differs from its defaults, and why it is the fast choice: see README.md."""
    return {
        "packing": True,
        "packing_strategy": workload.peer_packing,
        "max_length": workload.row_tokens,
        "per_device_train_batch_size": workload.peer_rows,
        "gradient_accumulation_steps": workload.rows_per_step // workload.peer_rows,
        "max_steps": workload.num_steps,
        "learning_rate": workload.learning_rate,
        "gradient_checkpointing": False,
        "bf16": workload.dtype == "bfloat16",
        "model_init_kwargs": {"dtype": workload.dtype, "attn_implementation": "sdpa"},
        "use_cpu": True,
        "seed": workload.seed,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def main() -> None:
    """Load, then step on demand until all steps of the workload are done."""
    channel, workload = Channel(), SftWorkload(**argument_from_argv())
    settings = trainer_settings(workload)
    steps = StepOnDemand(channel, settings)
    with tempfile.TemporaryDirectory() as folder:
        trainer = MeasuredTrainer(
            model=workload.model,
            args=SFTConfig(output_dir=folder, **settings),
            train_dataset=Dataset.from_list([{"input_ids": ids} for ids in workload.samples()]),
            callbacks=[steps],
        )
        steps.trainer = trainer
        trainer.train()
        channel.await_step()


if __name__ == "__main__":
    main()
