"""GRPO on one page: a base model learns to reason from nothing but rules that check its answers.

    python examples/minimal_grpo.py        # trains `micro`, the model that comes with dunwu, on the CPU

The same maths as `dunwu run` (`dunwu.functional`) with plain transformers forward passes: no packing, no engine,
no checkpoints. Read it from the bottom up.

Shape legend: B sequences, P tokens of left-padded prompts, T of completions, N trained tokens of a micro-batch.
"""

import argparse
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from dunwu.config.reward import AccuracyReward, FormatReward
from dunwu.config.task import R1ZeroTemplate, WorldTask
from dunwu.data.tasks import load_problems
from dunwu.data.templates import render
from dunwu.functional.advantages import group_advantages
from dunwu.functional.aggregation import aggregate_loss, batch_totals, token_weights
from dunwu.functional.kl import kl_estimate
from dunwu.functional.logprobs import chunked_logprobs
from dunwu.functional.passk import pass_at_1
from dunwu.functional.policy_loss import TokenTerms, clipped_loss
from dunwu.functional.sampling import sample_tokens
from dunwu.functional.seeds import derive_seed, uniforms
from dunwu.models.loading import resolve_model
from dunwu.records import Prompt, Reward
from dunwu.rewards.grading import Grader

TEMPERATURE, MAX_NEW_TOKENS, MICRO_BATCH = 1.0, 160, 64
CLIP, KL_COEF, LEARNING_RATE = 0.2, 0.001, 3e-4


@dataclass(frozen=True)
class Rollouts:
    """Completions of B prompts, padded to a rectangle, and the log-probs with which they were sampled."""

    prompt_ids_BP: Tensor
    prompt_mask_BP: Tensor
    token_ids_BT: Tensor
    mask_BT: Tensor
    logprobs_BT: Tensor


@torch.no_grad()
def sample(model: PreTrainedModel, eos: int, prompts: Sequence[Prompt], seeds: Sequence[int]) -> Rollouts:
    """Continue each prompt once; what sequence b becomes depends on its own prompt and seed alone."""
    length = max(len(prompt.token_ids) for prompt in prompts)
    padding = [length - len(prompt.token_ids) for prompt in prompts]
    prompt_ids_BP = torch.tensor([(eos,) * n + p.token_ids for n, p in zip(padding, prompts, strict=True)])
    prompt_mask_BP = torch.arange(length) >= torch.tensor(padding)[:, None]
    uniforms_BT = torch.stack([torch.from_numpy(uniforms(seed, MAX_NEW_TOKENS)) for seed in seeds])
    input_ids, attention_mask, cache = prompt_ids_BP, prompt_mask_BP, None
    alive_B = torch.ones(len(prompts), dtype=torch.bool)
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    while len(columns) < MAX_NEW_TOKENS and alive_B.any():
        output = model(
            input_ids=input_ids,
            attention_mask=attention_mask.long(),
            position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0)[:, -input_ids.shape[1] :],
            past_key_values=cache,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        ids_B, logprobs_B = sample_tokens(output.logits[:, -1], uniforms_BT[:, len(columns)], TEMPERATURE)
        columns.append((ids_B, alive_B, logprobs_B))
        input_ids = ids_B[:, None]
        attention_mask = torch.cat([attention_mask, alive_B[:, None]], 1)
        alive_B = alive_B & (ids_B != eos)
    token_ids_BT, mask_BT, logprobs_BT = (torch.stack(column, 1) for column in zip(*columns, strict=True))
    return Rollouts(prompt_ids_BP, prompt_mask_BP, token_ids_BT, mask_BT, logprobs_BT)


def completion_logprobs(model: PreTrainedModel, rollouts: Rollouts, rows: slice) -> Tensor:
    """(N,) log-probs of the tokens of some completions, one completion after the other."""
    mask_BT = rollouts.mask_BT[rows]
    attention_mask = torch.cat([rollouts.prompt_mask_BP[rows], mask_BT], 1)
    hidden = model.get_decoder()(
        input_ids=torch.cat([rollouts.prompt_ids_BP[rows], rollouts.token_ids_BT[rows]], 1),
        attention_mask=attention_mask.long(),
        position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0),
    ).last_hidden_state
    first = rollouts.prompt_ids_BP.shape[1] - 1  # the prompt's last position predicts the first token
    logprobs_N, _ = chunked_logprobs(
        hidden[:, first:-1][mask_BT],
        model.get_output_embeddings().weight,
        rollouts.token_ids_BT[rows][mask_BT],
        temperature=TEMPERATURE,
        chunk_tokens=2048,
    )
    return logprobs_N


def add_gradients(
    model: PreTrainedModel, reference: PreTrainedModel, rollouts: Rollouts, advantages_B: Tensor
) -> float:
    """Add the gradient of GRPO's loss on these rollouts to the model's; returns the mean KL per token."""
    lengths_B = rollouts.mask_BT.sum(1)
    totals = batch_totals(lengths_B.tolist())
    kl_sum = 0.0
    for start in range(0, len(lengths_B), MICRO_BATCH):
        rows = slice(start, start + MICRO_BATCH)
        mask_BT = rollouts.mask_BT[rows]
        sequence_N = mask_BT.nonzero()[:, 0]
        logprobs_N = completion_logprobs(model, rollouts, rows)
        with torch.no_grad():
            ref_logprobs_N = completion_logprobs(reference, rollouts, rows)
        terms = TokenTerms(
            logprobs_N=logprobs_N,
            old_logprobs_N=rollouts.logprobs_BT[rows][mask_BT],
            advantages_N=advantages_B[rows][sequence_N],
            sequence_N=sequence_N,
            num_sequences=len(mask_BT),
        )
        token_loss = clipped_loss(terms, clip_low=CLIP, clip_high=CLIP)
        weights_N = token_weights(lengths_B[rows], sequence_N, "sample_mean", totals)
        kl_N = kl_estimate(logprobs_N, ref_logprobs_N, "k3")
        aggregate_loss(token_loss, weights_N, kl_N=kl_N, kl_coef=KL_COEF).loss.backward()
        kl_sum += kl_N.sum().item()
    return kl_sum / totals.num_tokens


class Trial:
    """A model with what it needs to try problems and be judged."""

    def __init__(self, path: str, seed: int, grader: Grader) -> None:
        folder = resolve_model(path)
        self.seed, self.grader = seed, grader
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def run(self, prompts: Sequence[Prompt], times: int, *path: int | str) -> tuple[Rollouts, list[Reward]]:
        """Try every prompt a number of times; the rewards come prompt by prompt."""
        each = [prompt for prompt in prompts for _ in range(times)]
        seeds = [derive_seed(self.seed, *path, index) for index in range(len(each))]
        eos = self.tokenizer.eos_token_id
        rollouts = sample(self.model, eos, each, seeds)
        ids = [row[m].tolist() for row, m in zip(rollouts.token_ids_BT, rollouts.mask_BT, strict=True)]
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        ended = ["stop" if row[-1] == eos else "length" for row in ids]
        return rollouts, self.grader.grade_all(zip((p.problem for p in each), texts, ended, strict=True))

    def evaluate(self, prompts: Sequence[Prompt], name: str) -> None:
        _, rewards = self.run(prompts, 4, "evaluation")
        right = [bool(reward.correct) for reward in rewards]
        result = pass_at_1([right[i : i + 4] for i in range(0, len(right), 4)])
        print(f"{name}: pass@1 {result.mean:.3f} (95 % {result.low:.3f} to {result.high:.3f})", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="R1-Zero on one page.")
    parser.add_argument("--model", default="micro")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--prompts", type=int, default=8, help="prompts behind one policy update")
    parser.add_argument("--group", type=int, default=16, help="completions of each prompt")
    parser.add_argument("--held-out", type=int, default=96, help="problems judged before and after")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)

    with Grader((AccuracyReward(), FormatReward())) as grader:
        trial = Trial(args.model, args.seed, grader)
        reference = copy.deepcopy(trial.model)
        optimizer = torch.optim.AdamW(trial.model.parameters(), LEARNING_RATE, (0.9, 0.95), weight_decay=0.0)
        sets = load_problems(
            WorldTask(num_train=args.steps * args.prompts, num_held_out=args.held_out), args.seed
        )
        train, held_out = (
            [render(R1ZeroTemplate(), problem, trial.tokenizer) for problem in problems]
            for problems in (sets.train, sets.held_out)
        )
        trial.evaluate(held_out, "before")
        for step in range(args.steps):
            started = time.perf_counter()
            prompts = train[step * args.prompts : (step + 1) * args.prompts]
            rollouts, rewards = trial.run(prompts, args.group, "step", step)
            rewards_PG = torch.tensor([reward.total for reward in rewards]).reshape(-1, args.group)
            advantages_PG = group_advantages(rewards_PG, scale="population_std", eps=1e-6)
            kl = add_gradients(trial.model, reference, rollouts, advantages_PG.flatten())
            torch.nn.utils.clip_grad_norm_(trial.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            right = sum(bool(reward.correct) for reward in rewards) / len(rewards)
            length = rollouts.mask_BT.sum().item() / len(rewards)
            print(
                f"step {step + 1:3}  reward {rewards_PG.mean():.3f}  right {right:.3f}  length {length:5.1f}"
                f"  KL {kl:.4f}  {time.perf_counter() - started:.1f} s",
                flush=True,
            )
        trial.evaluate(held_out, "after")


if __name__ == "__main__":
    main()
