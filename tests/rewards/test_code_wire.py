"""Plain data between a test program and a solution: what goes in comes out, and nothing else can."""

import datetime
import enum
import io
import json
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.rewards.code_wire import MAX_LINE_BYTES, Channel, decode, encode

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
)
HASHABLE = SCALARS | st.tuples(SCALARS, SCALARS) | st.frozensets(SCALARS, max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.lists(inner, max_size=3).map(deque)
    ),
    max_leaves=8,
)


def nested(depth: int) -> list:
    data: list = ["l"]
    for _ in range(depth):
        data = ["l", data]
    return data


def refuse(what: object) -> list:
    raise LookupError(what)


def over_the_wire(value: object) -> object:
    return decode(json.loads(json.dumps(encode(value, refuse))), refuse)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(VALUES)
def test_plain_data_keeps_value_and_type(value):
    back = over_the_wire(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (enum.IntEnum("Color", "RED")(1), 1),
        (type("Text", (str,), {})("a"), "a"),
        (type("Always", (int,), {"__eq__": lambda *_: True, "__hash__": int.__hash__})(3), 3),
        (namedtuple("Point", "x y")(1, 2), (1, 2)),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (type("Words", (list,), {})([1]), [1]),
        (bytearray(b"\xff"), bytearray(b"\xff")),
        (range(1, 9, 2), range(1, 9, 2)),
        (float("inf"), float("inf")),
        pytest.param(10**5000, 10**5000, id="long int"),
        ("\ud800", "\ud800"),
    ],
)
def test_relatives_of_plain_data_become_plain(value, plain):
    back = over_the_wire(value)
    assert back == plain
    assert type(back) is type(plain)


def test_everything_else_is_handed_to_refer_and_resolve():
    marker = object()
    data = encode([1, marker], lambda value: ["o", id(value)])
    assert data == ["l", 1, ["o", id(marker)]]
    assert decode(data, lambda found: found[0]) == [1, "o"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"d": 1},
        [],
        [1],
        [[]],
        ["b", 1],
        ["b", "\u0100"],
        ["c", 1],
        ["r", 1, 2, 0],
        ["s", ["l"]],
        ["d", [1]],
        ["d", [["l"], 1]],
        ["D", "x"],
        ["F", 1, 0],
        ["i", "x"],
        ["y", "eval"],
        ["y", "nothing"],
        ["P", "Path", "x"],
        ["T", "date", "x"],
        ["T", "os", "x"],
        ["T", "timedelta", 10**30, 0, 0],
        nested(3000),
    ],
)
def test_what_was_not_written_by_encode_is_refused_and_does_nothing(data):
    def unknown(found):
        raise ValueError(found)

    with pytest.raises((ValueError, TypeError, ArithmeticError, RecursionError)):
        decode(data, unknown)


def test_a_channel_carries_lines_and_ends_where_the_other_side_does():
    pipe = io.BytesIO()
    Channel(pipe, pipe).send(["a\nb", "\u2028", 1])
    assert pipe.getvalue().count(b"\n") == 1
    pipe.seek(0)
    channel = Channel(pipe, pipe)
    assert channel.receive() == ["a\nb", "\u2028", 1]
    with pytest.raises(EOFError):
        channel.receive()
    with pytest.raises(EOFError):
        Channel(io.BytesIO(b'"cut off'), pipe).receive()
    with pytest.raises(ValueError, match="Expecting"):
        Channel(io.BytesIO(b"nonsense\n"), pipe).receive()
    endless = io.BytesIO(b" " * (MAX_LINE_BYTES + 1) + b"\n")
    with pytest.raises(EOFError):
        Channel(endless, pipe).receive()


def test_fractions_and_the_like_compare_as_numbers():
    values = [
        Fraction(1, 3),
        Decimal("1.50"),
        datetime.timedelta(days=1, seconds=2),
        Path("/a/b"),
        int,
        ValueError,
    ]
    assert over_the_wire(values) == values
