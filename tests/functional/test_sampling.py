import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from dunwu.errors import NonFiniteError
from dunwu.functional import sampling as module
from dunwu.functional.logprobs import chunked_logprobs
from dunwu.functional.sampling import sample_tokens

steady = settings(deadline=None, derandomize=True, max_examples=60)

VOCABS = [1, 5, 128, 129, 1000, 1280]


pytestmark = pytest.mark.usefixtures("way")


def make_logits(rows: int, vocab: int, spread: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(rows + vocab)
    return torch.randn(rows, vocab, generator=generator, dtype=torch.float64) * spread


def make_uniforms(rows: int) -> Tensor:
    return torch.rand(rows, generator=torch.Generator().manual_seed(rows), dtype=torch.float64)


def kept_by_reference(logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float) -> Any:
    """Token ids in the order of the cumulative sum and their probabilities, as the docstring reads."""
    scaled = np.array(logits) / temperature
    probs = np.exp(scaled - scaled.max())
    probs /= probs.sum()
    if top_k == 0 and top_p == 1 and min_p == 0:
        return np.arange(len(probs)), probs
    order = np.argsort(-probs, kind="stable")
    if top_k:
        order = order[:top_k]
    likely_first = probs[order]
    mass_before = np.concatenate([[0.0], np.cumsum(likely_first)[:-1]])
    kept = order[(mass_before < top_p * likely_first.sum()) & (likely_first >= min_p * likely_first[0])]
    return kept, probs[kept]


def sample_by_reference(logits: Tensor, uniform: float, temperature: float, **filters: Any) -> int:
    ids, probs = kept_by_reference(logits.tolist(), temperature, **filters)
    reached = np.cumsum(probs) > uniform * probs.sum()
    return int(ids[np.argmax(reached)])


@pytest.mark.parametrize("vocab", VOCABS)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [
        (0, 1.0, 0.0),
        (4, 1.0, 0.0),
        (0, 0.8, 0.0),
        (0, 1.0, 0.05),
        (20, 0.9, 0.01),
        (9999, 1.0, 0.0),
        (0, 0.9999, 0.0),
    ],
)
def test_draws_the_token_that_the_definition_names(
    vocab: int, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits, uniforms = make_logits(40, vocab), make_uniforms(40)
    filters = {"top_k": top_k, "top_p": top_p, "min_p": min_p}
    ids, logprobs = sample_tokens(logits, uniforms, temperature, **filters)
    reference = {**filters, "top_k": 0 if top_k >= vocab else top_k}
    expected = [
        sample_by_reference(row, u, temperature, **reference)
        for row, u in zip(logits, uniforms.tolist(), strict=True)
    ]
    assert ids.tolist() == expected
    assert ids.dtype == torch.int64
    unfiltered = torch.log_softmax(logits / temperature, -1)
    torch.testing.assert_close(logprobs, unfiltered[torch.arange(40), ids], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frequencies_over_evenly_spread_uniforms_are_the_probabilities(dtype: torch.dtype) -> None:
    num = 5000
    logits = make_logits(1, 300).to(dtype)
    uniforms = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    ids, logprobs = sample_tokens(logits.expand(num, -1), uniforms, 0.8)
    counts = torch.bincount(ids, minlength=300)
    probs = torch.softmax(logits[0].double() / 0.8, -1)
    assert (counts - num * probs).abs().max() < 1.01  # inverting the cumulative sum leaves less than one draw
    assert ids.equal(ids.sort().values)
    assert logprobs.dtype == torch.float32


def test_the_last_tokens_of_a_block_that_is_not_full_get_their_share() -> None:
    num, vocab = 1310, 131
    uniforms = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    ids, _ = sample_tokens(torch.zeros(1, vocab, dtype=torch.float64).expand(num, -1), uniforms, 1.0)
    assert torch.bincount(ids, minlength=vocab).tolist() == [10] * vocab


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [(0.6, 20, 0.8, 0.0), (1.0, 0, 0.7, 0.0), (1.3, 7, 1.0, 0.2), (1.0, 0, 1.0, 0.1), (0.9, 0, 0.95, 0.02)],
)
def test_filters_keep_what_transformers_keeps(
    temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    num = 4000
    logits = make_logits(1, 500, spread=1.5)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    warpers += [TopKLogitsWarper(top_k)] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    warpers += [MinPLogitsWarper(min_p)] if min_p else []
    probs = torch.softmax(warpers(torch.zeros(1, 1, dtype=torch.int64), logits.clone()), -1)[0]
    uniforms = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    ids, _ = sample_tokens(
        logits.expand(num, -1), uniforms, temperature, top_k=top_k, top_p=top_p, min_p=min_p
    )
    counts = torch.bincount(ids, minlength=500)
    assert counts[probs == 0].eq(0).all()
    assert (counts - num * probs).abs().max() < 1.01
    assert 1 < (probs > 0).sum() < 500


@pytest.mark.parametrize("head_sizes", [(), (1,), (2, 8), (2, 8, 64)])
@pytest.mark.parametrize(("top_p", "min_p"), [(0.9, 0.0), (1.0, 0.03), (0.95, 0.03)])
def test_the_head_that_is_tried_first_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, head_sizes: tuple[int, ...], top_p: float, min_p: float
) -> None:
    # rows from nearly certain to nearly flat: some are settled by each head
    logits = make_logits(60, 1100) * torch.linspace(0.01, 2, 60)[:, None]
    uniforms = make_uniforms(60)
    monkeypatch.setattr(module, "_HEAD_SIZES", head_sizes)
    ids, _ = sample_tokens(logits, uniforms, 1.0, top_p=top_p, min_p=min_p)
    expected = [
        sample_by_reference(row, u, 1.0, top_k=0, top_p=top_p, min_p=min_p)
        for row, u in zip(logits, uniforms.tolist(), strict=True)
    ]
    assert ids.tolist() == expected


def test_the_head_finds_tokens_behind_the_last_whole_block() -> None:
    logits = torch.zeros(1, 128 * 40 + 3, dtype=torch.float64)
    logits[0, -1], logits[0, 130], logits[0, 128 * 40] = 9.0, 8.0, 7.0
    uniforms = torch.linspace(0, 0.999, 50, dtype=torch.float64)
    ids, _ = sample_tokens(logits.expand(50, -1), uniforms, 1.0, top_k=3)
    assert ids.unique().tolist() == [130, 128 * 40, 128 * 40 + 2]


@pytest.mark.parametrize("vocab", VOCABS)
def test_temperature_zero_takes_the_first_of_the_likeliest(vocab: int) -> None:
    logits = make_logits(7, vocab).round()  # ties
    ids, logprobs = sample_tokens(logits, make_uniforms(7), 0.0, top_k=3, top_p=0.1)
    assert ids.tolist() == [row.index(max(row)) for row in logits.tolist()]
    expected = torch.log_softmax(logits, -1).amax(-1)
    torch.testing.assert_close(logprobs, expected)


def test_each_row_may_have_its_own_temperature() -> None:
    logits, uniforms = make_logits(6, 300), make_uniforms(6)
    temperatures = [0.0, 0.5, 1.0, 2.0, 0.0, 0.7]
    ids, logprobs = sample_tokens(logits, uniforms, torch.tensor(temperatures), top_k=10)
    for row, temperature in enumerate(temperatures):
        part = slice(row, row + 1)
        one_id, one_logprob = sample_tokens(logits[part], uniforms[part], temperature, top_k=10)
        assert ids[row] == one_id[0]
        assert logprobs[row].item() == pytest.approx(one_logprob.item(), rel=1e-6)


@pytest.mark.parametrize("filters", [{}, {"top_k": 20}, {"top_p": 0.9}, {"min_p": 0.1}])
def test_a_row_does_not_depend_on_the_others(
    monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any]
) -> None:
    logits, uniforms = make_logits(30, 777).float(), make_uniforms(30)
    ids, logprobs = sample_tokens(logits, uniforms, 0.9, **filters)
    monkeypatch.setattr(module, "_CPU_SLICE_ELEMENTS", 777 * 4)  # slices of four rows, the last one of two
    sliced_ids, sliced_logprobs = sample_tokens(logits, uniforms, torch.full((30,), 0.9), **filters)
    assert ids.equal(sliced_ids)
    torch.testing.assert_close(logprobs, sliced_logprobs)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))[:11]
    some_ids, some_logprobs = sample_tokens(logits[order], uniforms[order], 0.9, **filters)
    assert some_ids.equal(ids[order])
    assert some_logprobs.equal(logprobs[order])


@steady
@given(
    st.lists(st.floats(-1e4, 1e4, width=32) | st.just(-math.inf), min_size=1, max_size=300).filter(
        lambda row: max(row) > -math.inf
    ),
    st.sampled_from([0.0, 0.5, 1 - 2**-53]),
    st.sampled_from([{}, {"top_k": 2}, {"top_p": 0.999999}, {"min_p": 1e-6}]),
)
def test_no_token_without_probability_is_ever_drawn(
    row: list[float], uniform: float, filters: dict[str, Any]
) -> None:
    logits = torch.tensor([row], dtype=torch.float32)
    ids, logprobs = sample_tokens(logits, torch.tensor([uniform], dtype=torch.float64), 1.0, **filters)
    assert 0 <= ids[0] < len(row)
    assert logits[0, ids[0]] > -math.inf
    assert torch.isfinite(logprobs[0])


@pytest.mark.parametrize("filters", [{}, {"top_p": 0.8, "top_k": 20}, {"min_p": 0.1}])
@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_the_sampler_s_log_prob_is_the_trainer_s(filters: dict[str, Any], temperature: float) -> None:
    generator = torch.Generator().manual_seed(3)
    hidden, weight = torch.randn(50, 16, generator=generator), torch.randn(700, 16, generator=generator)
    ids, logprobs = sample_tokens(hidden @ weight.T, make_uniforms(50), temperature, **filters)
    trained, _ = chunked_logprobs(hidden, weight, ids, temperature=temperature, chunk_tokens=8)
    assert (trained - logprobs).abs().max() < 1e-5


def test_logits_are_left_as_they_were() -> None:
    logits = make_logits(5, 300).float()
    before = logits.clone()
    for filters in ({}, {"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.2}):
        for temperature in (0.0, 0.5, 1.0):
            sample_tokens(logits, make_uniforms(5), temperature, **filters)  # type: ignore[arg-type]
    assert logits.equal(before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("filters", [{}, {"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.2}])
def test_a_row_without_a_distribution_is_named(
    bad: float, temperature: float, filters: dict[str, Any]
) -> None:
    logits = torch.zeros(4, 200)
    logits[2, 150] = bad
    with pytest.raises(NonFiniteError, match="row 2"):
        sample_tokens(logits, make_uniforms(4), temperature, **filters)
    logits[2] = -math.inf
    with pytest.raises(NonFiniteError, match="row 2"):
        sample_tokens(logits, make_uniforms(4), temperature, **filters)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": torch.tensor([1.0, -1.0])}, "a temperature tensor"),
        ({"temperature": torch.tensor([1.0])}, "a temperature tensor"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p 0"),
        ({"top_p": 1.1}, "top_p 1.1"),
        ({"min_p": 1.0}, "min_p 1"),
        ({"min_p": -0.1}, "min_p -0.1"),
        ({"uniforms_B": torch.zeros(3)}, r"uniforms \(3,\)"),
        ({"logits_BV": torch.zeros(4)}, r"logits \(4,\)"),
        ({"logits_BV": torch.zeros(0, 4), "uniforms_B": torch.zeros(0)}, r"logits \(0, 4\)"),
    ],
)
def test_wrong_arguments_are_refused(changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "logits_BV": torch.zeros(2, 4),
        "uniforms_B": torch.zeros(2),
        "temperature": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        sample_tokens(**(arguments | changed))
