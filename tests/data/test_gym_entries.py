"""Entries come back from JSON as they were."""

import json
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dunwu.data.gym_entries import decode_entry, encode_entry


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        "text",
        [1, (2, [3, ()])],
        {"a": (1, 2), "b": {"c": [(3,)]}},
        {1: "one", 2.5: "more", (1, 2): "pair"},
        {"!tuple": [1]},
        {"!pairs": [[1, 2]], "x": 1},
        Fraction(1, 3),
        {},
    ],
)
def test_round_trip(value: Any) -> None:
    back = decode_entry(json.loads(json.dumps(encode_entry(value))))
    assert back == value
    assert type(back) is type(value)


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (Colour.RED, 1),
        (complex(1, 2), "(1+2j)"),
    ],
)
def test_other_scalars_become_plain(value: Any, plain: Any) -> None:
    encoded = encode_entry(value)
    assert encoded == plain
    assert type(encoded) is type(plain)
