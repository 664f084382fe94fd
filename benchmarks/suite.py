"""All benchmarks of speed and memory, one after the other: `make bench`.

    python -m benchmarks.suite [--only NAME,...] [--minutes N] [--list] [--dtype DTYPE] [--output FILE]

A name is that of a benchmark or of one of its ratios. With --minutes, as many as fit are run, the first of the list first; how
long each takes is known from its last run, or from the reference machine. Each puts what it found into the results file at its
end, beside what the others have put there, so that a run can be stopped at any time. Ends with a table of the goals, and
pictures.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.goals import goal_table
from benchmarks.pictures import draw_all
from benchmarks.record import FLOAT32, LATEST, note_seconds, read
from benchmarks.results import text_table
from benchmarks.turns import ROOT, VLLM_PYTHON, has_bfloat16


@dataclass(frozen=True)
class Benchmark:
    """A run of one module: the ratios it gives, and minutes on the reference machine (2 cores)."""

    name: str
    command: tuple[str, ...]
    minutes: float
    ratios: tuple[str, ...] = ()
    needs_vllm: bool = False
    takes_dtype: bool = True


def _step(case: str, minutes: float, ratio: str, *, takes_dtype: bool = True) -> Benchmark:
    command = ("benchmarks.grpo_step", "--case", case)
    return Benchmark(ratio, command, minutes, (ratio,), takes_dtype=takes_dtype)


BENCHMARKS = (
    _step("fixed", 11, "grpo_step_vs_trl"),
    Benchmark(
        "generate64",
        ("benchmarks.generate", "--case", "64"),
        6,
        ("generate64_vs_hf", "generate64_vs_vllm"),
        needs_vllm=True,
    ),
    Benchmark(
        "generate256", ("benchmarks.generate", "--case", "256"), 8, ("generate256_vs_vllm",), needs_vllm=True
    ),
    Benchmark("sft_vs_trl", ("benchmarks.sft",), 7, ("sft_vs_trl",)),
    _step("varied", 13, "grpo_step_varied_vs_trl"),
    _step("micro", 2, "grpo_step_micro_vs_trl", takes_dtype=False),
    Benchmark("logprob_memory", ("benchmarks.logprob_memory",), 4),
    Benchmark("startup", ("benchmarks.startup",), 4, takes_dtype=False),
    Benchmark("machine_limits", ("benchmarks.limits",), 2, takes_dtype=False),
    Benchmark("busy_machine", ("benchmarks.busy_machine",), 5, takes_dtype=False),
    Benchmark("scaling", ("benchmarks.scaling",), 22),
    _step("long", 20, "grpo_step_long_vs_trl"),
    Benchmark("generate_grid", ("benchmarks.generate", "--case", "grid"), 40, needs_vllm=True),
)
"""In the order of a run: what the goals are about comes first."""


def main() -> None:
    """Choose, run, and say what came out; exit code 1 if a benchmark failed."""
    arguments = parse_arguments()
    dtype = arguments.dtype or ("bfloat16" if has_bfloat16() else "float32")
    output = arguments.output or (LATEST if dtype == "bfloat16" else FLOAT32)
    if arguments.dtype is None and dtype == "float32":
        print("this machine has no instructions for bfloat16: all sides compute in float32\n")
    known = read(output)["wall_seconds"]
    chosen = choose(arguments.only, arguments.minutes, known)
    print(plan_table(chosen, known))
    if arguments.list:
        return
    failed = [benchmark.name for benchmark in chosen if not run(benchmark, dtype, output)]
    held = read(output)
    pictures = draw_all(held, output.parent if output == LATEST else output.with_suffix(""))
    print(f"\n{goal_table(held)}\n")
    print("\n".join(f"{name:<28} {value:6.2f}" for name, value in held["ratios"].items()))
    print(f"\nin {output}; pictures: {', '.join(path.name for path in pictures)}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def choose(only: Sequence[str], minutes: float | None, known: Mapping[str, float]) -> list[Benchmark]:
    """The benchmarks to run, in their order.

    Args:
        only: names of benchmarks or of ratios; none: all.
        minutes: most minutes in all; what does not fit beside what comes before it is left out.
        known: seconds that benchmarks took the last time.
    Raises:
        ValueError: there is no benchmark and no ratio of a name.
    """
    names = {name for benchmark in BENCHMARKS for name in (benchmark.name, *benchmark.ratios)}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ValueError(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    wanted = [b for b in BENCHMARKS if not only or {b.name, *b.ratios} & set(only)]
    if minutes is None:
        return wanted
    chosen, left = [], minutes
    for benchmark in wanted:
        needed = estimate_minutes(benchmark, known)
        if needed <= left:
            chosen.append(benchmark)
            left -= needed
    return chosen


def estimate_minutes(benchmark: Benchmark, known: Mapping[str, float]) -> float:
    """What it took the last time, or on the reference machine."""
    return known[benchmark.name] / 60 if benchmark.name in known else benchmark.minutes


def plan_table(chosen: Sequence[Benchmark], known: Mapping[str, float]) -> str:
    """What will be run, and how long it is expected to take."""
    rows = [
        [
            b.name,
            f"{estimate_minutes(b, known):.0f}",
            ", ".join(b.ratios) or "-",
            " ".join(("python -m", *b.command)),
        ]
        for b in chosen
    ]
    rows.append(["in all", f"{sum(estimate_minutes(b, known) for b in chosen):.0f}", "", ""])
    return text_table(["benchmark", "minutes", "ratios", "command"], rows)


def command_of(benchmark: Benchmark, dtype: str, output: Path) -> list[str]:
    """The command line that runs a benchmark; dtype: of those that come in more than one."""
    command = [sys.executable, "-m", *benchmark.command, "--output", str(output)]
    return [*command, "--dtype", dtype] if benchmark.takes_dtype else command


def run(benchmark: Benchmark, dtype: str, output: Path) -> bool:
    """Run one benchmark in a process of its own, and keep how long it took; False if it failed."""
    print(f"\n=== {benchmark.name}\n", flush=True)
    command = command_of(benchmark, dtype, output)
    if benchmark.needs_vllm and not VLLM_PYTHON.exists():
        print(
            f"vLLM is not installed ({VLLM_PYTHON} does not exist); run benchmarks/environment.sh vllm",
            file=sys.stderr,
        )
        return False
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode:
        print(f"{benchmark.name} ended with exit status {done.returncode}", file=sys.stderr, flush=True)
        return False
    note_seconds(output, benchmark.name, time.monotonic() - start)
    return True


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the benchmarks of speed and memory.")
    parser.add_argument("--only", type=split_names, default=(), help="names, separated by commas or blanks")
    parser.add_argument("--minutes", type=float, help="run what fits into so many minutes")
    parser.add_argument(
        "--list", action="store_true", help="say what would be run, and how long it takes; run nothing"
    )
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float32"),
        help="of weights and activations, on all sides; bfloat16 where the machine has instructions for it",
    )
    parser.add_argument(
        "--output", type=Path, help="the results file; results/latest.json, for float32 results/float32.json"
    )
    return parser.parse_args()


def split_names(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas or blanks."""
    return tuple(text.replace(",", " ").split())


if __name__ == "__main__":
    main()
