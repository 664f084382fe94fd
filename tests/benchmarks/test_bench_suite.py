"""Which benchmarks are run, and what is compared with what, on made-up figures."""

import importlib
from pathlib import Path
from unittest.mock import patch

import pytest
from benchmarks.generate import CASES, LONGEST, case_ratios, cell_figures, check_same_tokens
from benchmarks.grpo_step import CASES as STEP_CASES
from benchmarks.grpo_step import figures as step_figures
from benchmarks.grpo_step import share_lines
from benchmarks.logprob_memory import half_spread_frac, peaks
from benchmarks.products import model_products, total_flops, weight_bytes
from benchmarks.results import SideFigures, StepFigures
from benchmarks.scaling import LENGTHS, TOTAL_TOKENS, curve_figures, curve_points
from benchmarks.sft import check_tokens
from benchmarks.sft import figures as sft_figures
from benchmarks.suite import BENCHMARKS, choose, command_of, plan_table, split_names
from benchmarks.turns import in_turns
from benchmarks.workload import Cell, SftWorkload, StepWorkload

LLAMA = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}


def test_names_of_benchmarks_and_of_ratios_choose() -> None:
    names = [b.name for b in choose(split_names("sft_vs_trl, generate64_vs_hf"), None, {})]
    assert names == ["generate64", "sft_vs_trl"]
    assert choose((), None, {}) == list(BENCHMARKS)
    with pytest.raises(
        ValueError, match="there is no benchmark nonsense; there are busy_machine, generate256"
    ):
        choose(["nonsense"], None, {})


def test_what_fits_into_some_minutes_by_what_it_took_the_last_time() -> None:
    first = BENCHMARKS[0]
    assert [b.name for b in choose((), first.minutes, {})] == [first.name]
    chosen = choose((), first.minutes, {first.name: 60 * first.minutes + 1})
    assert chosen
    assert first not in chosen
    assert sum(b.minutes for b in chosen) <= first.minutes
    assert plan_table(chosen, {}).splitlines()[-1].startswith("in all")


def test_the_dtype_reaches_the_benchmarks_that_come_in_more_than_one(tmp_path: Path) -> None:
    for benchmark in BENCHMARKS:
        command = command_of(benchmark, "float32", tmp_path / "found.json")
        module = importlib.import_module(benchmark.command[0])
        with patch("sys.argv", [command[2], *command[3:]]):
            arguments = module.parse_arguments()
        assert getattr(arguments, "dtype", None) == ("float32" if benchmark.takes_dtype else None)
        assert arguments.output == tmp_path / "found.json"


def test_every_step_case_is_a_benchmark() -> None:
    assert {ratio for ratio, _ in STEP_CASES.values()} <= {b.name for b in BENCHMARKS}
    assert {b.command[2] for b in BENCHMARKS if b.command[0] == "benchmarks.generate"} == set(CASES)


def test_sides_take_turns_in_alternating_order() -> None:
    assert [in_turns("ab", number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_products_of_a_llama() -> None:
    products = model_products(LLAMA)
    parameters = 3 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 2 * 8 * 16 + 16 * 8) + 8 * 32
    assert weight_bytes(products, 2) == 2 * parameters
    assert total_flops(products, 5) == 2 * 5 * parameters
    with pytest.raises(ValueError, match="products of a gpt2 are not known"):
        model_products({"model_type": "gpt2"})


def test_the_grid_has_all_of_its_cells_and_fits_the_longest_sequence() -> None:
    cells, _, _ = CASES["grid"]
    assert {c.num_sequences for c in cells} == {1, 16, 64, 256}
    assert len(set(cells)) == len(cells) == 16
    assert max(13 * c.sentences + 60 + c.new_tokens for c in cells) < LONGEST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated_tokens": 31}, "b generated 31 tokens in 8"),
        ({"prompt_tokens": 6}, "prompt tokens differ"),
    ],
)
def test_other_tokens_are_not_compared(change: dict[str, int], message: str) -> None:
    cell = Cell(1, 8, 4)
    answer = {"generated_tokens": 32, "completions": 8, "prompt_tokens": 5}
    check_same_tokens(cell, {"a": answer, "b": answer})
    with pytest.raises(ValueError, match=message):
        check_same_tokens(cell, {"a": answer, "b": answer | change})


def test_rates_ratios_and_shares_of_a_cell() -> None:
    seconds = {"dunwu": [1.0, 2.0, 3.0], "transformers": [8.0, 8.0, 8.0], "vLLM": [3.0, 3.0, 3.0]}
    bound = {"tokens_per_second": 32.0, "weight_bytes": 10}
    found = cell_figures(Cell(1, 8, 4), seconds, bound, {"memory_read_bytes_per_second": 40.0})
    assert found["tokens_per_second"] == {"dunwu": 16.0, "transformers": 4.0, "vLLM": pytest.approx(32 / 3)}
    assert found["share_of_matmul_bound"]["dunwu"] == 0.5
    assert found["share_of_memory_read_rate"]["dunwu"] == 0.5
    assert case_ratios("generate64", {"cells": {"one": found}}) == {
        "generate64_vs_hf": 4.0,
        "generate64_vs_vllm": 1.5,
    }


def test_shares_of_a_step_count_model_flops_and_each_part_by_itself() -> None:
    workload = StepWorkload("m", num_prompts=1, group_size=2, completion_tokens=5, num_steps=1)
    step = StepFigures(10.0, 4.0, 10, 10, 3)
    sides = [SideFigures(name, [step], 1 << 30, {"num_parameters": 6}) for name in ("dunwu", "TRL")]
    shapes = {"sampling_seconds_per_token": 0.1, "training_seconds_per_token": 0.3}
    host = {"matmul_bf16_flops": 100.0, "matmul_fp32_flops": 1.0}
    found = step_figures("m", workload, host, shapes, sides)
    assert found["share_of_bound"]["dunwu"] == {
        "step": pytest.approx(0.6),
        "step_at_shapes": pytest.approx(0.4),
        "sampling_at_shapes": pytest.approx(0.25),
        "training": pytest.approx(0.8),
        "training_at_shapes": pytest.approx(0.5),
    }
    assert share_lines(found).startswith("dunwu: 60% of the matrix-product peak")


def test_fine_tuning_compares_seconds_of_a_token() -> None:
    workload = SftWorkload("m", vocab_size=99, row_tokens=10, rows_per_step=1)
    steps = {
        "dunwu": [{"seconds": 1.0, "trained_tokens": 10}],
        "TRL": [{"seconds": 3.6, "trained_tokens": 9}],
    }
    check_tokens(workload, steps)
    bound = {"flops_per_token": 5.0, "seconds_per_token": 0.05}
    found = sft_figures("m", workload, {"matmul_bf16_flops": 100.0}, bound, steps, {})
    assert found["speed"]["ratio"] == pytest.approx(4.0)
    assert found["tokens_per_second"] == {"dunwu": 10.0, "TRL": 2.5}
    assert found["share_of_matmul_peak"]["dunwu"] == pytest.approx(0.5)
    assert found["share_of_bound_at_shapes"]["dunwu"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="step 1: TRL trained on 8 tokens; 10 fit"):
        check_tokens(workload, steps | {"TRL": [{"seconds": 1.0, "trained_tokens": 8}]})


def test_flatness_of_memory() -> None:
    points = [
        {"method": method, "kind": "scoring", "beyond_gradient_bytes": value}
        for method, value in (("dunwu", 90), ("dunwu", 110), ("full logits", 900))
    ]
    assert half_spread_frac(peaks(points, "dunwu", "scoring")) == pytest.approx(0.1)


def test_lengths_grow_at_a_constant_number_of_tokens(tmp_path) -> None:
    points = curve_points("length", "micro", 1.0, tmp_path)
    assert [point.size for point in points] == list(LENGTHS)
    assert {point.workload.tokens_of_step(0) for point in points} == {TOTAL_TOKENS}
    longest = points[-1].workload
    assert longest.micro_batch_tokens > longest.completion_tokens


def test_exponents_of_a_curve() -> None:
    points = [
        {
            "size": size,
            "num_parameters": size,
            "step_seconds": 2.0 * size,
            "generation_seconds": 3.0,
            "training_seconds": 1.0 * size**2,
            "peak_rss_bytes": 5,
        }
        for size in (1, 2, 4)
    ]
    exponents = curve_figures("group", points)["exponents"]
    assert exponents == {
        "step_seconds": pytest.approx(1.0),
        "generation_seconds": pytest.approx(0.0),
        "training_seconds": pytest.approx(2.0),
        "peak_rss_bytes": pytest.approx(0.0),
    }
    assert curve_figures("length", points)["exponents"]["generation_seconds"] == pytest.approx(1.0)
