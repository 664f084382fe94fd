"""Stages that were replaced: their folders are set aside beside the others, whole, and never touched again."""

import re
from pathlib import Path

from dunwu.runs.files import sync

_ASIDE = re.compile(r"[A-Za-z0-9_-]+\.replaced-\d+")  # no stage's name has a dot in it


def set_aside(folder: Path) -> Path:
    """Move a stage's folder to the first free name of the form "sft.replaced-1", in one step, and return that path."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    folder.rename(target)
    sync(folder.parent)
    return target


def is_aside(name: str) -> bool:
    """Whether a name in a run folder is that of a stage set aside."""
    return _ASIDE.fullmatch(name) is not None


def aside_folders(run: Path) -> list[Path]:
    """List the stages set aside in a run folder."""
    return sorted(path for path in run.iterdir() if path.is_dir() and is_aside(path.name))
