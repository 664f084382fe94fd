"""Fixtures of the escape suite; what they hold is in the modules beside this file."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from escape_attacks import USUAL
from escape_host import Stage
from escape_machine import Machine
from escape_runs import Campaigns, open_in

from dunwu.sandbox.executor import Executor


@pytest.fixture(scope="module")
def adopting_orphans() -> Iterator[None]:
    """While the attacks run, a process that loses its parent becomes a child of the tests and so is seen."""
    subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(subreaper, 1, 0, 0, 0)
    yield
    libc.prctl(subreaper, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The host that the sandboxed programs attack; a secret lies in the environment of the tests themselves."""
    host = Stage()
    os.environ.update(host.environment())
    yield host
    for name in host.environment():
        del os.environ[name]
    host.close()


@pytest.fixture
def sacrifice() -> Iterator[Stage]:
    """A host for a control, which is meant to come to harm."""
    host = Stage()
    yield host
    host.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine, with a folder for temporary files of its own."""
    temporary = tmp_path_factory.mktemp("temporary")
    before, tempfile.tempdir = tempfile.tempdir, str(temporary)
    yield Machine(temporary)
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def campaigns(
    request: pytest.FixtureRequest, machine: Machine, stage: Stage, adopting_orphans: None
) -> Iterator[Campaigns]:
    """The attacks of all selected tests; `machine.before` is how everything was just before."""
    machine.before = machine.picture()
    calls = [item.callspec.params for item in request.session.items if isinstance(item, pytest.Function) and
             item.originalname == "test_does_not_get_out"]  # fmt: skip
    opened = Campaigns(stage, [(call["attack"], call["way"], call["setting"]) for call in calls])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def single(machine: Machine, stage: Stage) -> Iterator[Executor]:
    """A sandbox with one place, so that each run follows the last in the same machinery."""
    with open_in(USUAL, 1) as opened:
        yield opened
