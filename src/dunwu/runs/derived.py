"""Where figures derived from a run are kept for the next time: in the run folder's `.analysis`, so that a copy of the run has
them too, or, where that cannot be written, in the user's cache folder.

Nothing there is part of the run: it can be deleted at any time, and `dunwu show --digest` leaves it out. Called by the analysis.
"""

import hashlib
import os
from pathlib import Path

DERIVED_NAME = ".analysis"


def derived_folder(run: Path) -> Path:
    """Return the folder for a run's derived figures, made if need be.

    Raises:
        OSError: neither place can be written.
    """
    inside = run / DERIVED_NAME
    try:
        inside.mkdir(exist_ok=True)
    except OSError:
        pass
    else:
        if os.access(inside, os.W_OK):
            return inside
    outside = _user_cache(run)
    outside.mkdir(parents=True, exist_ok=True)
    return outside


def derived_folders(run: Path) -> list[Path]:
    """List the folders in which figures derived from a run may lie, for whoever only reads."""
    return [folder for folder in (run / DERIVED_NAME, _user_cache(run)) if folder.is_dir()]


def _user_cache(run: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dunwu" / "analysis" / hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
