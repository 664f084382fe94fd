"""How the threads of a tensor operation wait for one another on a CPU.

GNU's OpenMP, which torch brings on Linux, lets a thread that waits turn round for long before it sleeps. Where another
program wants a core, the waiting thread keeps it from the one it waits for, at every operation: beside another torch program a
step on a small model then takes more than twice as long as it must (`benchmarks/busy_machine.py`). On a machine at rest, sleeping
soon may cost a few per cent.
"""

from collections.abc import MutableMapping

SPIN_COUNT = "5000"
"""Turns before a waiting thread sleeps."""


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """Set how long threads wait awake, unless the user has said how; read by OpenMP when torch is imported first."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPIN_COUNT
