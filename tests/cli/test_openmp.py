"""How long threads wait awake is said before torch is there to read it, and never against the user."""

import subprocess
import sys
from pathlib import Path

import pytest

from dunwu.cli.openmp import SPIN_COUNT, wait_briefly

COMMAND = """
import os, sys
from dunwu.cli import main
main.app = lambda: print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
main.main()
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": SPIN_COUNT}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_what_the_user_says_stays(given, expected):
    wait_briefly(given)
    assert given == expected


def test_the_tests_wait_as_the_command_does():
    makefile = Path(__file__).parents[2] / "Makefile"
    assert f"GOMP_SPINCOUNT={SPIN_COUNT} " in makefile.read_text()


def test_the_command_says_it_before_torch_is_imported():
    found = subprocess.run(
        [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True, env={}
    )
    assert found.stdout.split() == [SPIN_COUNT, "False"]
