"""The files of a stage table in `<stage>`: comparison.json, all of it as data, and comparison.md, as Markdown.

Called by the comparison, and by whoever shows a table again.
"""

import json
from collections.abc import Mapping
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import canonical_json, write_file
from dunwu.runs.stage_folder import StageFolder
from dunwu.runs.stage_manifest import find_damage

_JSON, _MARKDOWN = "comparison.json", "comparison.md"
_KEYS = frozenset(
    [
        "name",
        "columns",
        "rows",
        "findings",
        "num_problems",
        "samples_per_problem",
        "num_general",
        "samples_per_general",
        "sampling",
        "judged_by",
    ]
)


def write_comparison(folder: StageFolder, table: Mapping[str, Any], markdown: str) -> None:
    """Write both files; equal tables give equal bytes."""
    folder.run.require_writable()
    write_file(folder.path / _JSON, canonical_json(table, "comparison", indent=2) + "\n")
    write_file(folder.path / _MARKDOWN, markdown)


def read_comparison(folder: StageFolder) -> tuple[dict[str, Any], str]:
    """Read the table as data and as Markdown.

    Raises:
        RunError: it is not there yet, or damaged, or no longer what the finished stage wrote.
    """
    manifest = folder.manifest
    made = (manifest.made if manifest else None) or {}
    written = {name: made[name] for name in (_JSON, _MARKDOWN) if name in made}
    damage = find_damage(folder.path, written, thorough=False)
    if damage:
        raise RunError(_damaged(folder, "; ".join(damage)))
    try:
        table = dict(json.loads((folder.path / _JSON).read_text(encoding="utf-8")))
        missing = sorted(_KEYS - table.keys())
        if missing:
            raise ValueError(f"{_JSON} has no {', '.join(missing)}")
        return table, (folder.path / _MARKDOWN).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(
            f"stage {folder.name} of {folder.run.path} has no table yet; it is written when the stage is finished"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(_damaged(folder, str(error))) from error


def _damaged(folder: StageFolder, what: str) -> str:
    return (
        f"the table of stage {folder.name} in {folder.path} is damaged ({what}); restore it from a copy, or run the stage again "
        "with --rerun-changed"
    )
