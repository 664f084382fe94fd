"""Our sides of the generation and fine-tuning comparisons, and the memory measurement, on tiny models."""

from collections.abc import Callable

import torch
from benchmarks.dunwu_generate import make_generate
from benchmarks.dunwu_sft import SftTrainer, token_sample
from benchmarks.generation_worker import chat_ids
from benchmarks.logprob_memory import measure_point
from benchmarks.products import DTYPES, Product, backward_seconds, forward_seconds
from benchmarks.workload import Cell, SftWorkload

from dunwu.models.policy import Policy


def test_every_completion_has_its_full_length_whatever_is_sampled(tiny_policy: Callable[..., Policy]) -> None:
    policy = tiny_policy("llama")
    policy.tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    cell = Cell(2, 3, 7)
    prompts = [chat_ids(policy.tokenizer, question) for question in cell.questions()]
    generate = make_generate(policy)
    sampled = generate(prompts, cell)
    assert [len(ids) for ids in sampled] == [7] * 6
    assert len({tuple(ids) for ids in sampled}) == 6
    greedy = generate(prompts, Cell(2, 3, 7, temperature=0.0))
    assert [len({tuple(ids) for ids in greedy[p : p + 3]}) for p in (0, 3)] == [1, 1]
    other = generate(prompts, Cell(2, 3, 7, seed=1))
    assert set(map(tuple, other)).isdisjoint(map(tuple, sampled))


def test_fine_tuning_fills_its_rows_and_moves_weights(tiny_policy: Callable[..., Policy]) -> None:
    policy = tiny_policy("smollm2", dtype=torch.bfloat16)
    workload = SftWorkload(
        "tiny",
        vocab_size=200,
        row_tokens=64,
        rows_per_step=3,
        num_steps=2,
        shortest_tokens=8,
        learning_rate=0.01,
    )
    trainer = SftTrainer(policy, workload)
    before = [p.detach().clone() for p in policy.model.parameters()]
    for step in (trainer.step(), trainer.step()):
        assert step["rows"] <= 3
        assert 0.5 * 3 * 64 < step["trained_tokens"] <= 3 * 64
        assert step["seconds"] > 0
    after = list(policy.model.parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_all_tokens_but_the_first_are_trained_on() -> None:
    sample = token_sample(3, [7, 8, 9])
    assert sample.token_ids.tolist() == [7, 8, 9]
    assert sample.trained.tolist() == [False, True, True]


def test_the_memory_of_full_logits_grows_and_the_weight_s_gradient_is_told() -> None:
    small, large = (measure_point("full logits", "training", v, 256, 16, "bfloat16") for v in (8_192, 65_536))
    full = 256 * 65_536 * 4
    assert large["beyond_gradient_bytes"] > full
    assert large["beyond_gradient_bytes"] > 3 * small["beyond_gradient_bytes"]
    assert large["weight_gradient_bytes"] == 65_536 * 16 * 2
    assert (
        measure_point("dunwu", "training", 8_192, 64, 16, "bfloat16")["weight_gradient_bytes"]
        == 8_192 * 16 * 6
    )
    assert measure_point("dunwu", "scoring", 8_192, 64, 16, "bfloat16")["weight_gradient_bytes"] == 0


def test_passes_through_the_products_take_time() -> None:
    products = (Product("a", 16, 32, 2), Product("head", 16, 64))
    for dtype in DTYPES.values():
        assert forward_seconds(products, 4, dtype) > 0
        assert backward_seconds(products, 4, dtype) > 0
