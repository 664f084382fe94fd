"""Plain data as lines of JSON, between a test program and the solution it tests. Runs inside the sandbox.

Lists, tuples, sets, dicts, paths, dates and the like keep their type; a value that is not plain data is handed to `refer`, which
stands for it by a reference. Nothing here is ever executed or looked up by what the other side sends, so a line
that a hostile program wrote can give wrong data, but nothing else. Imports the standard library only.
"""

import builtins
import json
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO

MAX_DECIMAL_BITS = 10_000
MAX_LINE_BYTES = 64 * 2**20

_SEQUENCES: dict[str, Any] = {"l": list, "t": tuple, "s": set, "f": frozenset, "q": deque}
_TAGS = {make: tag for tag, make in _SEQUENCES.items()}
_SCALARS = (bool, int, float, str)


def encode(value: Any, refer: Callable[[Any], list[Any]]) -> Any:
    """Return a value as JSON data: scalars as they are, everything else as a list that begins with its kind."""
    kind = type(value)
    if kind is int and value.bit_length() > MAX_DECIMAL_BITS:
        return ["i", hex(value)]
    if value is None or kind in _SCALARS:
        return value
    for base, tag in _TAGS.items():
        if isinstance(value, base):
            return [tag, *(encode(item, refer) for item in value)]
    if isinstance(value, dict):
        return ["d", *([encode(key, refer), encode(item, refer)] for key, item in value.items())]
    if isinstance(value, (bytes, bytearray)):
        return ["b" if isinstance(value, bytes) else "B", value.decode("latin-1")]
    if kind is complex:
        return ["c", value.real, value.imag]
    if isinstance(value, type):
        name: str = value.__name__
        return ["y", name] if getattr(builtins, name, None) is value else refer(value)
    if kind is range:
        return ["r", value.start, value.stop, value.step]
    if isinstance(value, (int, float, str)):
        return encode(value.__getnewargs__()[0], refer)  # an IntEnum, a subclass of str: its plain value
    return _encode_library(value) or refer(value)


def _encode_library(value: Any) -> list[Any] | None:
    module, name = type(value).__module__, type(value).__qualname__
    if (module, name) in (("decimal", "Decimal"), ("_decimal", "Decimal")):
        return ["D", str(value)]
    if (module, name) == ("fractions", "Fraction"):
        return ["F", value.numerator, value.denominator]
    if module == "pathlib" and name in ("PosixPath", "PurePosixPath"):
        return ["P", name, str(value)]
    if module == "datetime" and name in ("date", "datetime", "time"):
        return ["T", name, value.isoformat()]
    if module == "datetime" and name == "timedelta":
        return ["T", name, value.days, value.seconds, value.microseconds]
    return None


def decode(data: Any, resolve: Callable[[list[Any]], Any]) -> Any:
    """Return the value that `encode` wrote.

    Raises:
        ValueError, TypeError, ArithmeticError, RecursionError: it was not written by `encode`.
    """
    if data is None or type(data) in _SCALARS:
        return data
    if type(data) is not list or not data or type(data[0]) is not str:
        raise ValueError("malformed value")
    tag, *rest = data
    if tag in _SEQUENCES:
        return _SEQUENCES[tag](decode(item, resolve) for item in rest)
    match tag, rest:
        case "d", pairs:
            return {decode(key, resolve): decode(item, resolve) for key, item in pairs}
        case (("b" | "B"), [str(text)]):
            return (bytes if tag == "b" else bytearray)(text.encode("latin-1"))
        case "i", [str(text)]:
            return int(text, 16)
        case "c", [float(real), float(imaginary)]:
            return complex(real, imaginary)
        case "r", [int(start), int(stop), int(step)]:
            return range(start, stop, step)
        case "y", [str(name)] if isinstance(getattr(builtins, name, None), type):
            return getattr(builtins, name)
        case (("D" | "F" | "P" | "T"), _):
            return _decode_library(tag, rest)
    return resolve(data)


def _decode_library(tag: str, rest: list[Any]) -> Any:
    import datetime
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import PosixPath, PurePosixPath

    match tag, rest:
        case "D", [str(text)]:
            return Decimal(text)
        case "F", [int(numerator), int(denominator)]:
            return Fraction(numerator, denominator)
        case "P", [("PosixPath" | "PurePosixPath") as name, str(text)]:
            return PosixPath(text) if name == "PosixPath" else PurePosixPath(text)
        case "T", ["timedelta", int(days), int(seconds), int(microseconds)]:
            return datetime.timedelta(days, seconds, microseconds)
        case "T", [("date" | "datetime" | "time") as name, str(text)]:
            return getattr(datetime, name).fromisoformat(text)
    raise ValueError("malformed value")


class Channel:
    """Lines of JSON over two pipes."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            RecursionError: it is nested too deep; nothing was sent.
            OSError: the other side is gone.
        """
        self._outgoing.write(json.dumps(message, check_circular=False).encode() + b"\n")
        self._outgoing.flush()

    def receive(self) -> Any:
        """Return the next message.

        Raises:
            EOFError: the other side is gone, or sent a line without end.
            ValueError, RecursionError: the line is not JSON.
        """
        line = self._incoming.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError("the other side is gone")
        return json.loads(line)
