"""A fine-tuning step's loss and gradient: transformers' own on each sample alone, whatever the packing, the cut and the order."""

import copy
import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from dunwu.config.sft import SftBatch, SftOptimizer
from dunwu.config.training import ScheduleConfig
from dunwu.data.chat_tokens import TokenSample
from dunwu.errors import NonFiniteError
from dunwu.models.loading import make_policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sft_evaluation import evaluate_on_samples, perplexity
from dunwu.training.sft_step import update_on_samples

# masks of samples: one answer at the end, several turns, a single trained token, one token shown and one trained
MASKS = ["000011111", "00110001111", "0000000001", "01", "0111111111111", "00001000010000100001"]
AGGREGATIONS = ["token_mean", "sample_mean"]


def make_samples(random_ids: Any) -> list[TokenSample]:
    return [
        TokenSample(
            f"line {number}",
            np.array(random_ids(len(mask), number), dtype=np.int32),
            np.array([letter == "1" for letter in mask]),
        )
        for number, mask in enumerate(MASKS, start=1)
    ]


def transformers_loss(model: Any, samples: list[TokenSample], aggregation: str) -> torch.Tensor:
    """From labels, sample by sample, unpadded and unpacked."""
    losses, lengths = [], []
    for sample in samples:
        labels = np.where(sample.trained, sample.token_ids, -100)
        ids = torch.tensor(sample.token_ids[None], dtype=torch.int64)
        losses.append(model(input_ids=ids, labels=torch.tensor(labels[None], dtype=torch.int64)).loss)
        lengths.append(int(sample.trained.sum()))
    weights = torch.tensor(lengths if aggregation == "token_mean" else [1] * len(lengths))
    return (torch.stack(losses) * weights).sum() / weights.sum()


class Recorder(MasterAdamW):
    """Keeps the gradients of a step and leaves the weights as they are."""

    def step(self, step: int) -> float:
        names = [name for name, p in self.module.named_parameters()]
        self.gradients = {
            name: m.grad.clone() for name, m in zip(names, self.masters, strict=True) if m.grad is not None
        }
        for master in self.masters:
            master.clear_grad()
        return math.sqrt(sum(float(g.double().square().sum()) for g in self.gradients.values()))


def step(
    policy: Any,
    samples: list[TokenSample],
    *,
    aggregation: str = "token_mean",
    rows: int = 1000,
    chunk: int = 64,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    optimizer = Recorder(policy.model, SftOptimizer(), 1)
    optimizer.module = policy.model
    batch = SftBatch(micro_batch_tokens=rows, logprob_chunk_tokens=chunk)
    figures = update_on_samples(policy, optimizer, samples, aggregation=aggregation, batch=batch, step=1)  # type: ignore[arg-type]
    return figures, optimizer.gradients


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_loss_is_transformers_loss(
    family: str, aggregation: str, tiny_model: Any, tiny_tokenizer: Any, random_ids: Any
) -> None:
    model = tiny_model(family, seed=4)
    reference = copy.deepcopy(model)
    samples = make_samples(random_ids)
    expected = transformers_loss(reference, samples, aggregation)
    expected.backward()
    figures, gradients = step(make_policy(model, tiny_tokenizer), samples, aggregation=aggregation)
    assert figures["rows"] == 1
    assert figures["loss"] == pytest.approx(expected.item(), abs=1e-5)
    for name, parameter in reference.named_parameters():
        if parameter.grad is not None:
            scale = float(parameter.grad.abs().max()) + 1e-3
            assert float((gradients[name] - parameter.grad).abs().max()) <= 1e-4 * scale, name


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_loss_does_not_depend_on_cut_and_order(
    aggregation: str, tiny_policy: Any, random_ids: Any
) -> None:
    policy = tiny_policy("llama")
    samples = make_samples(random_ids)
    whole, expected = step(policy, samples, aggregation=aggregation)
    seen = set()
    for seed in range(8):
        draw = random.Random(seed)
        mixed = draw.sample(samples, len(samples))
        figures, gradients = step(
            policy, mixed, aggregation=aggregation, rows=draw.randint(20, 60), chunk=draw.choice([1, 5, 64])
        )
        seen.add(figures["rows"])
        for name in ("loss", "nll", "entropy", "grad_norm"):
            assert figures[name] == pytest.approx(whole[name], rel=1e-5), name
        for name, gradient in expected.items():
            torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)
    assert len(seen) > 1


def test_the_two_means_differ_and_the_figures_say_what_they_are(tiny_policy: Any, random_ids: Any) -> None:
    policy = tiny_policy("llama")
    samples = make_samples(random_ids)
    by_token, _ = step(policy, samples)
    by_sample, _ = step(policy, samples, aggregation="sample_mean")
    assert by_token["loss"] == pytest.approx(by_token["nll"], rel=1e-6)
    assert by_sample["nll"] == pytest.approx(by_token["nll"], rel=1e-6)
    assert by_sample["loss"] != pytest.approx(by_sample["nll"], rel=1e-3)
    assert by_token["perplexity"] == pytest.approx(math.exp(by_token["nll"]))
    trained = sum(mask.count("1") for mask in MASKS)
    assert (by_token["samples"], by_token["trained_tokens"]) == (6, trained)
    assert by_token["computed_tokens"] == sum(len(mask) - 1 for mask in MASKS)


def test_evaluation_agrees_with_the_step_and_counts_hits(
    family: str, tiny_model: Any, tiny_tokenizer: Any, random_ids: Any
) -> None:
    model = tiny_model(family, seed=4)
    reference = copy.deepcopy(model)
    policy = make_policy(model, tiny_tokenizer)
    samples = make_samples(random_ids)
    told: list[tuple[int, int]] = []
    figures = evaluate_on_samples(
        policy,
        samples,
        SftBatch(micro_batch_tokens=24, logprob_chunk_tokens=3),
        on_progress=lambda done, total: told.append((done, total)),
    )
    hits = 0
    for sample in samples:
        logits = reference(input_ids=torch.tensor(sample.token_ids[None], dtype=torch.int64)).logits[0]
        right = logits.argmax(-1)[:-1] == torch.tensor(sample.token_ids[1:], dtype=torch.int64)
        hits += int(right[torch.tensor(sample.trained[1:])].sum())
    num_tokens = sum(mask.count("1") for mask in MASKS)
    assert figures["token_accuracy"] == hits / num_tokens
    assert (figures["num_tokens"], figures["num_samples"]) == (num_tokens, 6)
    for name, aggregation in (("nll", "token_mean"), ("sample_nll", "sample_mean")):
        expected = transformers_loss(reference, samples, aggregation).item()
        assert figures[name] == pytest.approx(expected, abs=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["nll"]))
    assert told[-1] == (6, 6)
    assert len(told) > 1


def test_a_perplexity_beyond_all_floats_is_none() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(701.0) is None


def test_a_loss_that_is_not_finite_stops_the_step_and_names_a_sample(
    tiny_policy: Any, random_ids: Any
) -> None:
    policy = tiny_policy("llama")
    with torch.no_grad():
        policy.model.get_output_embeddings().weight[5] = torch.nan
    before = copy.deepcopy(policy.model.state_dict())
    optimizer = MasterAdamW(policy.model, SftOptimizer(), 3)
    with pytest.raises(NonFiniteError, match="the loss of step 2 is nan on the row that begins with line 1"):
        update_on_samples(
            policy, optimizer, make_samples(random_ids), aggregation="token_mean", batch=SftBatch(), step=2
        )
    for name, value in policy.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_lower_the_loss_and_follow_the_schedule(
    dtype: torch.dtype, tiny_policy: Any, random_ids: Any
) -> None:
    policy = tiny_policy("llama", dtype=dtype)
    schedule = ScheduleConfig(kind="cosine", final_frac=0.1)
    config = SftOptimizer.model_validate({"learning_rate": 3e-3, "schedule": schedule.model_dump()})
    optimizer = MasterAdamW(policy.model, config, 12)
    samples = make_samples(random_ids)
    figures = [
        update_on_samples(policy, optimizer, samples, aggregation="token_mean", batch=SftBatch(), step=i)
        for i in range(1, 13)
    ]
    assert figures[-1]["loss"] < 0.5 * figures[0]["loss"]
    assert figures[0]["learning_rate"] == pytest.approx(3e-3)
    assert figures[-1]["learning_rate"] == pytest.approx(3e-4)
    assert all(policy.dtype == dtype and f["grad_norm"] > 0 for f in figures)
