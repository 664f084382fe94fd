"""Start-up times: `dunwu --help`, a dry run, and a killed run from its command to its next step.

    python -m benchmarks.startup [--repeats 5] [--output FILE]

Beside them stands what the libraries alone cost, and TRL's `trl --help`. Every figure is the wall time of a fresh process, in
turns with the others; the files lie in the page cache, as they do after the first time.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import versions
from benchmarks.record import LATEST, record
from benchmarks.results import spread_frac, text_table
from benchmarks.turns import ROOT, host_or_warn, in_turns
from benchmarks.worker import WORKER_ENVIRONMENT

NAME = "startup"
RECIPE = "zero-micro"
STAGE = "r1_zero"
SETTINGS = {
    "num_steps": 500,
    "prompts_per_step": 4,
    "group_size": 4,
    "sampling.max_new_tokens": 32,
    "evaluation.num_problems": 8,
    "evaluation.samples_per_problem": 2,
    "checkpoint.every_steps": 1,
}
"""A run of small steps: what is measured is how long it takes to reach one."""
RESUMED = "dunwu run, resumed, to its next step"
POLL_SECONDS = 0.01
DEADLINE_SECONDS = 300.0


def main() -> None:
    """Measure, print and record."""
    arguments = parse_arguments()
    host = host_or_warn()
    commands = start_commands(Path(sys.executable).parent)
    seconds: dict[str, list[float]] = {name: [] for name in [*commands, RESUMED]}
    with tempfile.TemporaryDirectory(prefix="dunwu-bench-") as folder:
        killed = make_killed_run(Path(folder) / "killed")
        for number in range(arguments.repeats + 1):
            for name in in_turns(list(seconds), number):
                if name == RESUMED:
                    took = resumed_seconds(killed, Path(folder) / f"resumed-{number}")
                else:
                    took = command_seconds(commands[name])
                if number:  # the first turn fills the page cache
                    seconds[name].append(took)
    found = {
        "machine": host,
        "versions": versions("dunwu", "torch", "transformers"),
        "median_seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "seconds": seconds,
        "resumed_run": {"recipe": RECIPE, "settings": SETTINGS},
    }
    record(arguments.output, NAME, found)
    print(f"\nstart-up, {host['cpu']}\n")
    print(table(seconds))


def start_commands(scripts: Path) -> dict[str, list[str]]:
    """What is timed from its start to its end, by name; TRL only where it is installed."""
    dunwu, python = str(scripts / "dunwu"), str(scripts / "python")
    commands = {
        "dunwu --help": [dunwu, "--help"],
        f"dunwu run {RECIPE} --dry-run": [dunwu, "run", RECIPE, "--dry-run"],
        "import torch": [python, "-c", "import torch"],
        "import torch, a transformers model": [
            python,
            "-c",
            "import torch; from transformers import AutoModelForCausalLM",
        ],
    }
    if (scripts / "trl").exists():
        commands["trl --help"] = [str(scripts / "trl"), "--help"]
    return commands


def command_seconds(command: Sequence[str]) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def make_killed_run(folder: Path) -> Path:
    """A run that was killed after its second step."""
    process = start_run(folder)
    try:
        wait_for_steps(process, folder, 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return folder


def resumed_seconds(killed: Path, folder: Path) -> float:
    """Time from the command that continues a copy of the killed run to the first step that it records."""
    shutil.copytree(killed, folder)
    before = num_steps(folder)
    start = time.perf_counter()
    process = start_run(folder)
    try:
        # what came after the last checkpoint is taken back first, so the count may fall before it rises
        wait_for_change(process, folder, before)
        return time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def start_run(folder: Path) -> subprocess.Popen[bytes]:
    """The command that starts or continues the run in a folder."""
    script = str(Path(sys.executable).parent / "dunwu")
    options = [part for key, value in SETTINGS.items() for part in ("--set", f"stages.{STAGE}.{key}={value}")]
    command = [script, "run", RECIPE, "--run-dir", str(folder), "--plain", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def num_steps(folder: Path) -> int:
    """Steps that the stage has recorded."""
    metrics = folder / STAGE / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0


def wait_for_steps(process: subprocess.Popen[bytes], folder: Path, wanted: int) -> None:
    """Wait until so many steps are recorded.

    Raises:
        RuntimeError: the run ended, or took too long.
    """
    _wait(process, lambda: num_steps(folder) >= wanted)


def wait_for_change(process: subprocess.Popen[bytes], folder: Path, before: int) -> None:
    """Wait until the stage has recorded one step more than it had, or than was left when it took some back.

    Raises:
        RuntimeError: the run ended, or took too long.
    """
    lowest = before

    def more() -> bool:
        nonlocal lowest
        found = num_steps(folder)
        lowest = min(lowest, found)
        return found > lowest

    _wait(process, more)


def _wait(process: subprocess.Popen[bytes], reached: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not reached():
        if process.poll() is not None:
            raise RuntimeError(
                f"the run ended with exit status {process.returncode} before its step was recorded"
            )
        if time.monotonic() > deadline:
            raise RuntimeError(f"the run recorded no step within {DEADLINE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _environment() -> dict[str, str]:
    return dict(os.environ) | WORKER_ENVIRONMENT


def table(seconds: Mapping[str, Sequence[float]]) -> str:
    """One line for each command."""
    rows = [
        [name, f"{statistics.median(values):.2f}", f"{spread_frac(values):.0%}"]
        for name, values in seconds.items()
    ]
    return text_table(["", "median [s]", "spread"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the measurement that is published."""
    parser = argparse.ArgumentParser(description="Measure start-up times.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
