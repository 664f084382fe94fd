"""Plan which sequences lie together in one packed row. Pure counting: knows lengths, no tokens and no
tensors.

Sequences with an equal prompt share it within a row, so a group is kept together where it fits. Called by
`data.packing`, which builds the rows.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PackItem:
    """A sequence to be placed: those of equal `prompt` share its `prompt_tokens`, not its `own_tokens`."""

    prompt: Hashable
    prompt_tokens: int
    own_tokens: int


def plan_rows(items: Sequence[PackItem], max_tokens: int) -> list[tuple[int, ...]]:
    """Distribute sequences over rows of at most max_tokens, best fit decreasing.

    1. Items of one prompt form a bundle; one that is longer than a row is cut, longest items first, each into
    the fullest
       bundle that still holds it.
    2. Bundles are placed, longest first, each into the fullest row that still holds it, else into a new row.

    Ties go to the lower index, so the plan is a function of the items alone.

    Args:
        items: each of at least one token.
        max_tokens: of a row; a shared prompt counts once.
    Returns:
        Rows of item indices, ascending; rows in the order of their first index; every index exactly once.
    Raises:
        ValueError: an item that is longer than max_tokens by itself, or empty (names its index).
    """
    for index, item in enumerate(items):
        if not 1 <= item.prompt_tokens + item.own_tokens <= max_tokens:
            raise ValueError(
                f"item {index} has {item.prompt_tokens} + {item.own_tokens} tokens; "
                f"a row holds 1 to {max_tokens}"
            )
    groups: dict[Hashable, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(item.prompt, []).append(index)
    bundles: list[list[int]] = []
    sizes: list[int] = []
    for members in groups.values():
        prompt_tokens = items[members[0]].prompt_tokens
        own_tokens = [items[index].own_tokens for index in members]
        for places in _best_fit_decreasing(own_tokens, max_tokens - prompt_tokens):
            bundles.append([members[place] for place in places])
            sizes.append(prompt_tokens + sum(own_tokens[place] for place in places))
    rows = _best_fit_decreasing(sizes, max_tokens)
    return sorted(tuple(sorted(index for bundle in row for index in bundles[bundle])) for row in rows)


def _best_fit_decreasing(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of places in `sizes`, each place into the bin with the least room that is enough for it."""
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free, bin), ascending
    for place in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
        found = bisect_left(room, (sizes[place], -1))
        if found == len(room):
            bins.append([])
            room.append((capacity, len(bins) - 1))
            found = len(room) - 1
        free, chosen = room.pop(found)
        bins[chosen].append(place)
        insort(room, (free - sizes[place], chosen))
    return bins
