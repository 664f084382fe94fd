"""Names for the phases of a training step, so that a profile can say where its time and memory went. Costs next to nothing while
nobody profiles. Called around the work itself; read by `training.step_profile`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch.profiler import record_function

PHASE_PREFIX = "dunwu: "


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Mark what is done inside, or all of a function that this decorates, as a phase; phases nest."""
    with record_function(PHASE_PREFIX + name):
        yield
