"""How the threads of a tensor operation wait for one another on a CPU.

GNU's OpenMP, which torch brings on Linux, lets a thread that waits turn round for milliseconds before it sleeps. Where another
program wants a core, the waiting thread keeps it from the one it waits for, at every operation: sampling from a small model
then takes ten times as long, or more (`benchmarks/busy_machine.py`). A short wait costs nothing where nobody else is busy.
"""

from collections.abc import MutableMapping

SPIN_COUNT = "5000"
"""Turns before a waiting thread sleeps, some ten microseconds."""


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """Set how long threads wait awake, unless the user has said how; read by OpenMP when torch is imported first."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPIN_COUNT
