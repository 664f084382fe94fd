"""What two runs of one recipe must have in common, as hashes. Used by the tests of resume and by `dunwu show --digest`."""

from pathlib import Path

from dunwu.errors import RunError
from dunwu.runs.aside import is_aside
from dunwu.runs.derived import DERIVED_NAME
from dunwu.runs.files import hash_folder
from dunwu.runs.hash_cache import CACHE_NAME
from dunwu.runs.lock import LOCK_NAME
from dunwu.runs.wall_clock import RECORD_NAME, WALL_CLOCK_FILES, WALL_CLOCK_FOLDERS, comparable_hash

_LEFT_OUT = {*WALL_CLOCK_FILES, LOCK_NAME, CACHE_NAME, "curves.png"}  # the picture is drawn by whoever looks
_PARTLY_WALL_CLOCK = ("summary.json", RECORD_NAME)

_OF_READERS = (
    "report.",
    "tracking.",
)  # files of reports and trackers; no stage's folder has a dot in its name


def comparable_digest(path: Path) -> dict[str, str]:
    """Hash everything in a run folder that must be the same bytes for a killed and an unkilled run.

    Left out are the files and keys that hold wall-clock figures, stages that were set aside, and what was made of the run
    for readers: derived figures, pictures, reports.

    Returns:
        SHA-256 by path relative to the run folder, sorted.
    Raises:
        RunError: `path` is not a folder.
    """
    if not path.is_dir():
        raise RunError(f"{path} is not a folder")
    digests = {
        name: digest
        for name, digest in hash_folder(path).items()
        if name.rpartition("/")[2] not in _LEFT_OUT and not _is_beside(*name.split("/")[:2])
    }
    for name in digests:
        if name.rpartition("/")[2] in _PARTLY_WALL_CLOCK:
            digests[name] = comparable_hash(path / name)[0]
    return digests


def _is_beside(name: str, inner: str = "") -> bool:
    return (
        is_aside(name) or name == DERIVED_NAME or name.startswith(_OF_READERS) or inner in WALL_CLOCK_FOLDERS
    )
