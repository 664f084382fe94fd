"""The profiles of a stage's steps in its folder: figures, a table to read, and a trace. Called by `StageFolder`.

They hold wall-clock figures alone and are no part of what a stage made.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import write_file, write_file_with

PROFILE_FOLDER = "profile"
_NAME = re.compile(r"step-(\d+)\.json")


def write_profile(
    folder: Path, step: int, record: Mapping[str, Any], table: str, write_trace: Callable[[Path], None]
) -> Path:
    """Write what a profile of the steps from `step` on found, as JSON, Markdown and a compressed trace.

    Returns:
        The Markdown file.
    """
    folder.mkdir(exist_ok=True)
    name = f"step-{step:06d}"
    write_file(folder / f"{name}.json", json.dumps({"step": step, **record}) + "\n")
    write_file_with(folder / f"{name}.trace.json.gz", write_trace)
    write_file(folder / f"{name}.md", table)
    return folder / f"{name}.md"


def profile_files(folder: Path) -> list[tuple[int, Path]]:
    """List the first step of each profile of a stage and its JSON file, in the order of the steps; none if there is none."""
    found = [(match, path) for path in folder.glob("step-*.json") if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in found)


def read_profiles(folder: Path) -> list[dict[str, Any]]:
    """Read the profiles of a stage, in the order of their steps; none if it was not profiled.

    Raises:
        RunError: one is damaged.
    """
    profiles = []
    for _, path in profile_files(folder):
        try:
            profiles.append(dict(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}); delete it, or profile the stage again") from error
    return profiles
