import ctypes
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dunwu.errors import NonFiniteError
from dunwu.functional import logprobs, sampling
from dunwu.functional.logit_kernels import (
    ChunkFigures,
    draw_tokens,
    log_prob_gradients_,
    log_probs_,
    logit_kernels,
)
from dunwu.functional.logprobs import chunked_logprobs
from dunwu.functional.sampling import sample_tokens
from dunwu.kernels.build import explain, library

pytestmark = pytest.mark.skipif(library() is None, reason=f"no kernels: {explain()}")

DTYPES = [torch.float32, torch.bfloat16]
VOCABS = [1, 2, 31, 128, 129, 513, 1024, 5003]


@pytest.fixture
def kernels() -> ctypes.CDLL:
    found = library()
    assert found is not None
    return found


def make_logits(rows: int, vocab: int, dtype: torch.dtype, spread: float = 4.0) -> Tensor:
    generator = torch.Generator().manual_seed(rows + vocab)
    return (torch.randn(rows, vocab, generator=generator) * spread + 5).to(dtype)


def make_targets(rows: int, vocab: int) -> Tensor:
    return torch.randint(vocab, (rows,), generator=torch.Generator().manual_seed(vocab))


def new_figures(rows: int) -> ChunkFigures:
    return ChunkFigures(torch.empty(rows), torch.empty(rows), torch.empty(rows, dtype=torch.float64))


def reference(logits_CV: Tensor, targets_C: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs, entropies and temperature * d logprob / d logit in float64."""
    log_p = torch.log_softmax(logits_CV.double() / temperature, -1)
    onehot = torch.nn.functional.one_hot(targets_C, logits_CV.shape[1])
    return log_p.gather(1, targets_C[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1), onehot - log_p.exp()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab", VOCABS)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_rows_of_any_length_equal_float64(
    kernels: ctypes.CDLL, dtype: torch.dtype, vocab: int, temperature: float
) -> None:
    logits, targets, figures = make_logits(7, vocab, dtype), make_targets(7, vocab), new_figures(7)
    expected, entropy, grad = reference(logits, targets, temperature)
    last = logits.clone()
    for overwrite in (False, True):
        mass = log_probs_(kernels, last, targets, temperature, figures, overwrite=overwrite)
        torch.testing.assert_close(figures.logprobs_C.double(), expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(figures.entropy_C.double(), entropy, rtol=1e-6, atol=2e-6)
        normaliser = torch.logsumexp(logits.double() / temperature, -1)
        torch.testing.assert_close(figures.normaliser_C, normaliser, rtol=1e-7, atol=1e-6)
        assert (mass is not None) == overwrite
    assert mass is not None
    again = logits.clone()
    log_prob_gradients_(kernels, again, targets, temperature, figures.normaliser_C)
    # of a float32 e^x the exponent, up to 40, is rounded; of a bfloat16 result 8 bits are kept
    rtol = 5e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(again.double(), grad, rtol=rtol, atol=3e-7)
    torch.testing.assert_close(last.double() / mass.double()[:, None], grad, rtol=rtol, atol=3e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_large_vocabulary_is_as_exact_as_by_torch(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, temperature: float
) -> None:
    rows, vocab = 6, 151_936
    targets = make_targets(rows, vocab)
    hidden = torch.eye(rows, dtype=dtype)  # the weight is the logits
    weight = make_logits(rows, vocab, dtype).T.contiguous().requires_grad_()
    upstream = torch.linspace(-1, 2, rows)
    expected = reference(weight.detach().T.contiguous(), targets, temperature)
    expected_grad = (expected[2] * upstream[:, None] / temperature).T

    def errors() -> list[float]:
        values, entropy = chunked_logprobs(
            hidden, weight, targets, temperature=temperature, chunk_tokens=40
        )  # two rows at a time: chunks whose gradient is computed again, and the last one
        (grad,) = torch.autograd.grad((values * upstream).sum(), weight)
        pairs = ((values, expected[0]), (entropy, expected[1]), (grad, expected_grad))
        return [float((ours.detach().double() - true).abs().max()) for ours, true in pairs]

    by_kernels = errors()
    monkeypatch.setattr(logprobs, "logit_kernels", lambda logits: None)
    by_torch = errors()
    assert by_kernels[0] < max(2e-6, 1.2 * by_torch[0])
    assert by_kernels[1] < max(2e-6, 1.2 * by_torch[1])
    # in bfloat16 gradient, scaled hidden state and sum are rounded, once each, and here a target's 1 is a rounded number too
    assert by_kernels[2] < (max(1e-6, 1.2 * by_torch[2]) if dtype == torch.float32 else 3 * 2**-9 * 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_those_of_autograd(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(23, 8, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(301, 8, generator=generator).to(dtype).requires_grad_()
    bias = torch.randn(301, generator=generator).to(dtype).requires_grad_()
    targets = make_targets(46, 301)[::2]  # not contiguous
    upstream = torch.linspace(-1, 2, 23).where(torch.arange(23) % 5 > 0, 0)  # some tokens are skipped
    values, _ = chunked_logprobs(hidden, weight, targets, temperature=0.8, chunk_tokens=9, bias_V=bias)
    ours = torch.autograd.grad((values * upstream).sum(), (hidden, weight, bias))
    leaves = [leaf.detach().double().requires_grad_() for leaf in (hidden, weight, bias)]
    log_p = torch.log_softmax((leaves[0] @ leaves[1].T + leaves[2]) / 0.8, -1)
    expected = torch.autograd.grad((log_p.gather(1, targets[:, None])[:, 0] * upstream).sum(), leaves)
    for one, true in zip(ours, expected, strict=True):
        error = (one.double() - true).norm() / true.norm()
        assert error < (2e-6 if dtype == torch.float32 else 0.02)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 40, 599])
def test_what_is_not_finite_stays_in_its_row(
    kernels: ctypes.CDLL, dtype: torch.dtype, bad: float, place: int
) -> None:
    logits, targets, figures = make_logits(3, 600, dtype), make_targets(3, 600), new_figures(3)
    logits[1, place] = bad
    mass = log_probs_(kernels, logits.clone(), targets, 1.0, figures, overwrite=True)
    assert mass is not None
    for values in (figures.logprobs_C, figures.entropy_C, figures.normaliser_C, mass):
        assert values.isfinite().tolist() == [True, False, True]
    log_prob_gradients_(kernels, logits, targets, 1.0, figures.normaliser_C)
    assert logits.isfinite().all(-1).tolist() == [True, False, True]
    _, values = draw_tokens(kernels, logits, torch.full((3,), 0.5, dtype=torch.float64), 1.0)
    assert values.isfinite().tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_forbidden_token_has_no_probability_and_no_gradient(
    kernels: ctypes.CDLL, dtype: torch.dtype
) -> None:
    logits, figures = torch.zeros(2, 4, dtype=dtype), new_figures(2)
    logits[:, 1] = -math.inf
    targets = torch.tensor([0, 1])
    mass = log_probs_(kernels, logits.clone(), targets, 1.0, figures, overwrite=False)
    assert mass is None
    torch.testing.assert_close(figures.logprobs_C, torch.tensor([-math.log(3), -math.inf]))
    torch.testing.assert_close(figures.entropy_C, torch.tensor([math.log(3)] * 2))
    log_prob_gradients_(kernels, logits, targets, 1.0, figures.normaliser_C)
    expected = torch.tensor([[2 / 3, 0, -1 / 3, -1 / 3], [-1 / 3, 1, -1 / 3, -1 / 3]])
    torch.testing.assert_close(logits.float(), expected, rtol=3e-3, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab", [300, 5003])
def test_any_number_of_threads_gives_the_same_bits(
    kernels: ctypes.CDLL, dtype: torch.dtype, vocab: int
) -> None:
    logits, targets = make_logits(13, vocab, dtype), make_targets(13, vocab)
    uniforms = torch.rand(13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def everything() -> list[Tensor]:
        figures, over, again = new_figures(13), logits.clone(), logits.clone()
        mass = log_probs_(kernels, over, targets, 0.9, figures, overwrite=True)
        assert mass is not None
        log_prob_gradients_(kernels, again, targets, 0.9, figures.normaliser_C)
        drawn = draw_tokens(kernels, logits, uniforms, 0.9)
        return [figures.logprobs_C, figures.entropy_C, figures.normaliser_C, mass, over, again, *drawn]

    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(everything())
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(one.equal(two) for one, two in zip(results[0], result, strict=True))


def draw_by_definition(logits: Tensor, uniform: float, temperature: float) -> tuple[int, float]:
    """The token, and how far the uniform number is from where another one begins."""
    cumulative = torch.softmax(logits.double() / temperature, -1).cumsum(-1)
    token = int((cumulative <= uniform * cumulative[-1]).sum())
    return token, float((cumulative - uniform).abs().min())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab", [*VOCABS, 49_152])
def test_draws_the_token_of_the_definition(dtype: torch.dtype, vocab: int) -> None:
    rows = 60
    logits = make_logits(rows, vocab, dtype)
    uniforms = torch.rand(rows, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    temperatures = torch.tensor([0.5, 1.0, 2.0]).repeat(rows // 3)
    ids, values = sample_tokens(logits, uniforms, temperatures)
    clear = 0
    for row in range(rows):
        token, distance = draw_by_definition(logits[row], float(uniforms[row]), float(temperatures[row]))
        if distance > 1e-6:  # else rounding decides
            clear += 1
            assert ids[row] == token
    assert clear > rows / 2
    expected = torch.log_softmax(logits.double() / temperatures[:, None], -1).gather(1, ids[:, None])[:, 0]
    torch.testing.assert_close(values.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_rows_may_lie_anywhere(dtype: torch.dtype, temperature: float) -> None:
    uniforms = torch.rand(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dense = make_logits(6, 300, dtype)
    wide = torch.full((12, 700), 1e4, dtype=dtype)
    wide[::2, 200:500] = dense
    expected = sample_tokens(dense, uniforms, temperature)
    for rows in (wide[::2, 200:500], dense.T.contiguous().T):
        assert not rows.is_contiguous()
        spread = uniforms.repeat_interleave(2)[::2]
        for one, two in zip(sample_tokens(rows, spread, temperature), expected, strict=True):
            assert one.equal(two)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("place", [0, 127, 128, 640, 700])
def test_the_only_possible_token_is_drawn_wherever_it_is(uniform: float, place: int) -> None:
    for others in (-math.inf, -1e4):
        logits = torch.full((1, 701), others)
        logits[0, place] = 3.0
        ids, values = sample_tokens(logits, torch.tensor([uniform], dtype=torch.float64), 1.0)
        assert ids.tolist() == [place]
        assert values.tolist() == [0.0]


@pytest.mark.parametrize("vocab", [5, 128, 300, 1000])
def test_greedy_takes_the_first_of_equals(vocab: int) -> None:
    for first in {0, vocab // 2, vocab - 1}:
        logits = make_logits(1, vocab, torch.float32)
        logits[0, first:] = 50.0
        ids, values = sample_tokens(logits, torch.zeros(1, dtype=torch.float64), 0.0, top_k=3)
        assert ids.tolist() == [first]
        assert values.item() == pytest.approx(-math.log(vocab - first), abs=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_without_a_distribution_is_named(dtype: torch.dtype, temperature: float) -> None:
    for bad in (math.nan, math.inf, None):
        logits = torch.zeros(4, 200, dtype=dtype)
        if bad is None:
            logits[2] = -math.inf
        else:
            logits[2, 150] = bad
        with pytest.raises(NonFiniteError, match="row 2"):
            sample_tokens(logits, torch.zeros(4, dtype=torch.float64), temperature)


def test_what_the_kernels_do_not_know_goes_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logit_kernels(torch.zeros(1, dtype=torch.float64)) is None
    assert logit_kernels(torch.zeros(1, dtype=torch.float16)) is None
    assert logit_kernels(torch.zeros(1, device="meta")) is None

    def forbidden(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a kernel was called")

    monkeypatch.setattr(sampling, "draw_tokens", forbidden)
    monkeypatch.setattr(logprobs, "log_probs_", forbidden)
    logits, uniforms = torch.zeros(2, 9), torch.zeros(2, dtype=torch.float64)
    for filters in ({"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.1}):
        sample_tokens(logits, uniforms, torch.tensor([0.0, 1.0]), **filters)  # type: ignore[arg-type]
    hidden = torch.zeros(2, 3)
    chunked_logprobs(
        hidden,
        torch.zeros(9, 3),
        torch.zeros(2, dtype=torch.int64),
        temperature=1.0,
        chunk_tokens=4,
        softcap=2.0,
    )
    with pytest.raises(AssertionError, match="a kernel was called"):
        sample_tokens(logits, uniforms, 1.0)
