"""The files of a stage table in `<stage>`: comparison.json, all of it as data, and comparison.md, as Markdown.

Called by the comparison, and by whoever shows a table again.
"""

import json
from collections.abc import Mapping
from typing import Any

from dunwu.errors import RunError
from dunwu.runs.files import canonical_json, write_file
from dunwu.runs.stage_folder import StageFolder

_JSON, _MARKDOWN = "comparison.json", "comparison.md"


def write_comparison(folder: StageFolder, table: Mapping[str, Any], markdown: str) -> None:
    """Write both files; equal tables give equal bytes."""
    folder.run.require_writable()
    write_file(folder.path / _JSON, canonical_json(table, "comparison", indent=2) + "\n")
    write_file(folder.path / _MARKDOWN, markdown)


def read_comparison(folder: StageFolder) -> tuple[dict[str, Any], str]:
    """Read the table as data and as Markdown.

    Raises:
        RunError: it is not there yet, or damaged.
    """
    try:
        table = json.loads((folder.path / _JSON).read_text(encoding="utf-8"))
        return dict(table), (folder.path / _MARKDOWN).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(
            f"stage {folder.name} of {folder.run.path} has no table yet; it is written when the stage is finished"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"the table of stage {folder.name} in {folder.path} is damaged ({error}); restore it from a copy, or run the stage "
            "again with --rerun-changed"
        ) from error
