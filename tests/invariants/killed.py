"""Runs in forked children that can be killed, or kill themselves at chosen calls. Used by the tests of resuming."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dunwu.runs.files
from dunwu.config.recipe import Recipe
from dunwu.pipeline.run import run_recipe
from dunwu.runs.digest import comparable_digest
from dunwu.runs.progress import QuietProgress

Prepare = Callable[[], None]

HANG_SECONDS = 900
"""A child that has not ended by then hangs; far more than any needs, also where other programs take the processor."""


def start(
    recipe: Recipe, path: Path, prepare: Prepare | None = None, *, rerun_changed: bool = False
) -> BaseProcess:
    """Run a recipe in a child, `prepare` called first in it."""

    def child() -> None:
        import torch

        torch.set_num_threads(1)
        if prepare is not None:
            prepare()
        run_recipe(recipe, path, QuietProgress(), rerun_changed=rerun_changed)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def outcome(
    recipe: Recipe, path: Path, prepare: Prepare | None = None, *, rerun_changed: bool = False
) -> int | None:
    """Run a recipe in a child, and return how it ended."""
    process = start(recipe, path, prepare, rerun_changed=rerun_changed)
    process.join(HANG_SECONDS)
    return process.exitcode


def finish(recipe: Recipe, path: Path, prepare: Prepare | None = None) -> dict[str, str]:
    """Run a recipe in a child to its end, and return what the run folder holds."""
    assert outcome(recipe, path, prepare) == 0
    return comparable_digest(path)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(place: Any, name: str, number: int, *, after: bool = False) -> Prepare:
    """A preparation that makes the child kill itself at its `number`-th call of a function, before or after the call."""

    def prepare() -> None:
        original = getattr(place, name)
        calls = 0

        def replacement(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number and not after:
                die()
            result = original(*arguments, **options)
            if calls == number:
                die()
            return result

        setattr(place, name, replacement)

    return prepare


def die_at_sync(number: int) -> Prepare:
    """A preparation that makes the child kill itself at its `number`-th call of `sync`."""
    return die_at(dunwu.runs.files, "sync", number)
