"""Worker: TRL's GRPOTrainer on a `StepWorkload`, configured as well as its users can on a CPU.

The steps are those of one ordinary `trainer.train()`; it waits at the beginning of each for the orchestrator.
A step's time is from there to the end of its optimizer update: generation, rewards, reference pass, forward
and backward, AdamW.
"""

import math
import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import LogitsProcessor, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from benchmarks.machine import versions
from benchmarks.worker import Channel
from benchmarks.workload import StepWorkload, text_reward, workload_from_argv


class EndAtLength(LogitsProcessor):
    """Forbids the end of sequence until a row's length, and allows nothing else there."""

    def __init__(self, lengths: list[int], prompt_tokens: int, eos_token_ids: list[int]) -> None:
        self.lengths_B = torch.tensor(lengths)
        self.prompt_tokens, self.eos_token_ids = prompt_tokens, eos_token_ids

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ends_B = self.lengths_B == input_ids.shape[1] - self.prompt_tokens + 1
        scores[:, self.eos_token_ids] = float("-inf")
        if ends_B.any():
            scores[ends_B] = float("-inf")
            scores[ends_B, self.eos_token_ids[0]] = 0.0
        return scores


class MeasuredTrainer(GRPOTrainer):
    """GRPOTrainer with a clock around its sampler and a count of the tokens in its loss; else unchanged."""

    workload: StepWorkload

    generation_seconds = 0.0
    generated_tokens = trained_tokens = prompt_tokens = 0

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        if self.workload.shortest_tokens is not None:
            self._set_lengths(max(map(len, prompt_ids)))
        start = time.perf_counter()
        completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self.generation_seconds = time.perf_counter() - start
        self.generated_tokens = sum(len(ids) for ids in completion_ids)
        self.prompt_tokens = sum(len(ids) for ids in prompt_ids[:: self.num_generations])
        self.trained_tokens = 0
        return completion_ids, logprobs

    def _set_lengths(self, prompt_tokens: int) -> None:
        """Let the next call of the model's `generate` end each row at its length."""
        of_prompts = self.workload.lengths(self.state.global_step)
        lengths = [length for of_prompt in of_prompts for length in of_prompt]
        processor = EndAtLength(lengths, prompt_tokens, list(self.eos_token_ids))
        model = self.accelerator.unwrap_model(self.model_wrapped)
        generate = type(model).generate
        vars(model)["generate"] = lambda **inputs: generate(model, **inputs, logits_processor=[processor])

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        self.trained_tokens += int(inputs["completion_mask"].sum())
        return super()._compute_loss(model, inputs)


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
        self.channel.await_step()
        self.start = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        assert self.trainer is not None
        self.channel.send(
            step_seconds=time.perf_counter() - self.start,
            generation_seconds=self.trainer.generation_seconds,
            generated_tokens=self.trainer.generated_tokens,
            trained_tokens=self.trainer.trained_tokens,
            prompt_tokens=self.trainer.prompt_tokens,
        )


def length_reward(completions: list[Any], **_: Any) -> list[float]:
    """The reward that both sides give."""
    texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [text_reward(text) for text in texts]


def row(workload: StepWorkload, question: str) -> dict[str, Any]:
    """A row of the data set: a chat, or the text that dunwu's plain template makes."""
    return {"prompt": [{"role": "user", "content": question}] if workload.chat else f"{question}\n"}


def trainer_settings(workload: StepWorkload) -> dict[str, Any]:
    """What of GRPOConfig differs from its defaults, and why it is the fast choice: see README.md."""
    micro_batch = math.gcd(
        workload.peer_micro_batch, workload.num_sequences
    )  # TRL's step is a whole number of them
    fixed = workload.shortest_tokens is None
    half = workload.dtype == "bfloat16"
    return {
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": workload.num_sequences // micro_batch,
        "num_generations": workload.group_size,
        "max_completion_length": workload.completion_tokens,
        "generation_kwargs": {"min_new_tokens": workload.completion_tokens} if fixed else None,
        "max_steps": workload.num_steps,
        "beta": workload.kl_coef,
        "learning_rate": workload.learning_rate,
        "temperature": workload.temperature,
        "loss_type": "grpo",
        "gradient_checkpointing": False,
        "bf16": half,
        "model_init_kwargs": {"dtype": workload.dtype},
        "use_cpu": True,
        "shuffle_dataset": False,
        "seed": workload.seed,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def main() -> None:
    """Load, then step on demand until all steps of the workload are done."""
    channel = Channel()
    workload = workload_from_argv()
    settings = trainer_settings(workload)
    rows = [row(workload, question) for question, _ in workload.questions()]
    steps = StepOnDemand(channel, settings)
    with tempfile.TemporaryDirectory() as folder:
        trainer = MeasuredTrainer(
            model=workload.model,
            reward_funcs=length_reward,
            args=GRPOConfig(output_dir=folder, **settings),
            train_dataset=Dataset.from_list(rows),
            callbacks=[steps],
        )
        trainer.workload = workload
        steps.trainer = trainer
        trainer.train()
        channel.await_step()


if __name__ == "__main__":
    main()
