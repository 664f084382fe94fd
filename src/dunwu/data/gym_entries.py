"""Writes reasoning-gym entries as JSON and reads them back unchanged.

JSON alone turns tuples into lists and number keys into strings, and some scorers then judge differently.
Called where problems are made (`data.task_reasoning_gym`) and where answers are scored
(`rewards.gym_scorer`).
"""

from fractions import Fraction
from typing import Any

_TUPLE, _PAIRS, _FRACTION = "!tuple", "!pairs", "!fraction"


def encode_entry(value: Any) -> Any:
    """Return a JSON-able form of nested lists, tuples, dicts, numbers and strings; anything else becomes its
    text."""
    if value is None:
        return None
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)  # numpy's float64 and str_ are subclasses; JSON needs the plain ones
    if isinstance(value, tuple):
        return {_TUPLE: [encode_entry(item) for item in value]}
    if isinstance(value, list):
        return [encode_entry(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("!") for key in value):
            return {key: encode_entry(item) for key, item in value.items()}
        return {_PAIRS: [[encode_entry(key), encode_entry(item)] for key, item in value.items()]}
    if isinstance(value, Fraction):
        return {_FRACTION: str(value)}
    if hasattr(value, "item"):  # a numpy scalar
        return encode_entry(value.item())
    return str(value)


def decode_entry(value: Any) -> Any:
    """Return what `encode_entry` was given."""
    if isinstance(value, list):
        return [decode_entry(item) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("!tuple", items)]:
            return tuple(decode_entry(item) for item in items)
        case [("!pairs", pairs)]:
            return {decode_entry(key): decode_entry(item) for key, item in pairs}
        case [("!fraction", text)]:
            return Fraction(text)
    return {key: decode_entry(item) for key, item in value.items()}
