"""Comparing printed output and returned values."""

import json

import pytest

from dunwu.rewards.code_compare import first_difference, same_output, same_value


@pytest.mark.parametrize(
    ("got", "expected", "tokens", "lines", "exact"),
    [
        ("1 2\n", "1 2\n", True, True, True),
        ("1 2", "1 2\n", True, True, False),
        ("1 2  \r\n\n", "1 2\n", True, True, False),
        ("1\n2", "1 2", True, False, False),
        (" 1 2", "1 2", True, False, False),
        ("1.0", "1.00", True, False, False),
        ("1.0", "1", True, False, False),
        ("1e2", "100", True, False, False),
        ("Yes", "YES", False, False, False),
        ("1 2 3", "1 2", False, False, False),
        ("1", "1 2", False, False, False),
        ("", "", True, True, True),
        ("", "1", False, False, False),
        ("nan", "0", False, False, False),
        ("inf", "1", False, False, False),
        ("1_0", "10", False, False, False),
        ("1e999999999", "1", False, False, False),
        ("9" * 1000, "9" * 1001, False, False, False),
        ("0.1000000000000000055", "0.1", False, False, False),
    ],
)
def test_printed_output(got, expected, tokens, lines, exact):
    assert same_output(got, expected, "tokens") is tokens
    assert same_output(got, expected, "lines") is lines
    assert same_output(got, expected, "exact") is exact


def test_tolerance_is_absolute_near_zero_and_in_proportion_elsewhere():
    assert same_output("0.3333", "0.33333333", "tokens", 1e-4)
    assert not same_output("0.3333", "0.33333333", "tokens", 1e-5)
    assert same_output("1000000.5", "1000000", "tokens", 1e-6)
    assert not same_output("1000002", "1000000", "tokens", 1e-6)
    assert not same_output("nan", "0.5", "tokens", 1.0)
    assert not same_output("1e400", "5", "tokens", 1.0)
    assert not same_output("x", "0", "tokens", 1.0)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        ([1, [2, "x"]], [1, [2, "x"]], True),
        ({"a": [1], "b": None}, {"b": None, "a": [1]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1, 2, 3], False),
        ([1, 2], [2, 1], False),
        (1, 1.0, True),
        (True, 1, True),
        ("1", 1, False),
        (None, 0, False),
        (None, None, True),
        ([], {}, False),
        (0.1 + 0.2, 0.3, False),
        (float("nan"), float("nan"), False),
        (float("inf"), float("inf"), False),
    ],
)
def test_returned_values(got, expected, same):
    assert same_value(got, expected) is same


def test_returned_values_with_a_tolerance():
    assert same_value([0.1 + 0.2], [0.3], 1e-9)
    assert same_value({"a": 2}, {"a": 2.0000001}, 1e-6)
    assert not same_value([0.31], [0.3], 1e-3)
    assert not same_value(True, 0.999999, 1e-3)
    assert same_value("a", "a", 1e-3)
    assert not same_value(10**400, 1.0, 1e-3)


def test_values_nested_without_end_are_never_equal():
    deep = json.loads("[" * 300 + "]" * 300)
    assert not same_value(deep, deep)
    shallow = json.loads("[" * 150 + "]" * 150)
    assert same_value(shallow, shallow)


def test_the_first_difference_is_named():
    assert first_difference("1 2 4", "1 2 3") == "token 3: expected '3', got '4'"
    assert first_difference("1", "1.0 7") == "token 2: expected '7', got nothing"
    assert first_difference("1 2 3", "1 2") == "token 3: expected nothing, got '3'"
    assert first_difference("x" * 100, "y") == f"token 1: expected 'y', got '{'x' * 40}...'"
    assert first_difference("a  b", "a b") == "white space"
