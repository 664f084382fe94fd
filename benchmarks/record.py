"""The results file: what was measured last of each benchmark, and when. A partial run changes its own entries alone.

{"ratios": {"grpo_step_vs_trl": 3.1},            # speed ratios: above 1 = dunwu is faster
 "measured_at": {"grpo_step_vs_trl": "..."},     # of each ratio
 "figures": {"grpo_step_vs_trl": {...}}}         # what a benchmark found, with the time and the machine
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LATEST = Path(__file__).parent / "results" / "latest.json"
FLOAT32 = LATEST.with_name("float32.json")
"""What `make bench` finds on machines without instructions for bfloat16, where all sides compute in float32."""


def record(
    path: Path, name: str, figures: Mapping[str, Any], ratios: Mapping[str, float] | None = None
) -> None:
    """Put one benchmark's figures into the results file, beside what others have put there; atomic.

    Args:
        ratios: by name; most often one, called like the benchmark.
    """
    held = read(path)
    measured_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for ratio, value in (ratios or {}).items():
        held["ratios"][ratio] = round(value, 3)
        held["measured_at"][ratio] = measured_at
    held["figures"][name] = {"measured_at": measured_at, **figures}
    _write(path, held)


def note_seconds(path: Path, name: str, seconds: float) -> None:
    """Keep how long a benchmark took as a whole: the estimate of the next run."""
    held = read(path)
    held["wall_seconds"][name] = round(seconds, 1)
    _write(path, held)


def read(path: Path) -> dict[str, Any]:
    """The results file, with all its sections; empty ones where it has none yet."""
    held: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for section in ("ratios", "measured_at", "wall_seconds", "figures"):
        held.setdefault(section, {})
    return held


def _write(path: Path, held: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(held, indent=2) + "\n")
    os.replace(unfinished, path)
