"""What changed from one completion to another: a difference by words, so that one sees how an answer to one problem changed.

Chinese characters count as words. Called by the dashboard.
"""

from difflib import SequenceMatcher
from typing import Literal, NamedTuple

import regex

Change = Literal["same", "removed", "added"]

_WORD = regex.compile(r"\p{Han}|[\p{L}\p{M}_]+|\d+|\s+|.", regex.DOTALL)
_MAX_WORDS = 4000


class Edit(NamedTuple):
    """A stretch of text that both have, or only the old one ("removed"), or only the new one ("added")."""

    change: Change
    text: str


def difference(old: str, new: str) -> list[Edit]:
    """Return edits in order: "same" and "removed" together are `old`, "same" and "added" together `new`.

    What lies beyond the first 4,000 words of either is not compared: it counts as removed and as added.
    """
    before, after = _WORD.findall(old), _WORD.findall(new)
    rest = "".join(before[_MAX_WORDS:]), "".join(after[_MAX_WORDS:])
    before, after = before[:_MAX_WORDS], after[:_MAX_WORDS]
    edits: list[Edit] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            edits.append(Edit("same", "".join(before[i:j])))
            continue
        edits += [Edit("removed", "".join(before[i:j])), Edit("added", "".join(after[k:m]))]
    edits += [Edit("removed", rest[0]), Edit("added", rest[1])]
    return [edit for edit in edits if edit.text]


def likeness(edits: list[Edit]) -> float:
    """Return the share of both texts' characters that is the same, 1 for two empty texts."""
    total = sum(len(edit.text) * (2 if edit.change == "same" else 1) for edit in edits)
    same = sum(2 * len(edit.text) for edit in edits if edit.change == "same")
    return same / total if total else 1.0
