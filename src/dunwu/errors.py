"""One exception family: every error that is the caller's fault is a DunwuError.

A message says what is wrong, the value, what is allowed and what to do next. A broken invariant of our own is
an `assert`, never one of these.
"""


class DunwuError(Exception):
    """Base of the family; the command line prints its message without a traceback and exits 2."""


class ConfigError(DunwuError):
    """A recipe or an option is wrong: unknown key, impossible combination, missing file."""


class DataError(DunwuError):
    """A task's data is wrong: missing column, ungradable reference, train and held-out problems overlap."""


class ModelError(DunwuError):
    """A model folder cannot be loaded, or its architecture cannot be trained packed."""


class RunError(DunwuError):
    """A run folder does not belong to this recipe, or a file in it is missing or damaged."""


class DiskError(DunwuError, OSError):
    """Something cannot be written: the disk is full or read-only, or the place is closed to this process."""


class NonFiniteError(DunwuError):
    """A loss, gradient or log-probability is NaN or infinite; raised before the optimizer step."""


class DependencyError(DunwuError):
    """An optional package or system program is missing; the message names what to install."""


class SandboxError(DunwuError):
    """A sandbox stopped working while it was in use: its engine died, its service does not answer, or it was closed."""


class DunwuWarning(UserWarning):
    """Something a user should know that does not stop the run."""
