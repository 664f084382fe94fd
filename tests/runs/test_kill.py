"""kill -9 before any file operation, twice, then the same command: the run folder ends with the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRAINER = Path(__file__).parent / "toy_trainer.py"


def trials(folder: Path, seed: int, count: int) -> dict:
    command = [sys.executable, str(TRAINER), str(folder), str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(result: dict) -> None:
    assert result["operations"] > 200
    names = set(result["whole"])
    assert {
        "manifest.json",
        "summary.json",
        "r1_zero/manifest.json",
        "r1_zero/checkpoints/step-000014/part-0.json",
    } <= names
    assert sum(trial["signals"][0] == 9 for trial in result["killed"]) >= len(result["killed"]) - 1
    for trial in result["killed"]:
        assert trial["digest"] == result["whole"], trial["at"]


def test_a_run_killed_anywhere_ends_with_the_same_bytes(tmp_path):
    check(trials(tmp_path, seed=1, count=16))


@pytest.mark.slow
def test_a_run_killed_almost_everywhere_ends_with_the_same_bytes(tmp_path):
    result = trials(tmp_path, seed=2, count=100)
    check(result)
