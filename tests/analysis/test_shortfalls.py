"""What a table lacks is said: good things never done, thinking that got shorter, claims with nothing left to gain."""

from typing import Any

from dunwu.analysis.shortfalls import shortfalls


def _cell(value: float, half: float = 0.02, num_problems: int = 64) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "num_problems": num_problems}


def _facts(rows: list[dict[str, Any]], findings: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    columns = [{"label": "base", "role": "base"}, {"label": "R1-Zero", "role": "r1_zero"}]
    table = {
        "columns": columns,
        "rows": rows,
        "findings": findings or [],
        "sampling": {"max_new_tokens": 128},
    }
    return {"table": table, "stages": [], "embedded": [], "seed": 1}


def _row(key: str, unit: str, *cells: dict[str, Any] | None) -> dict[str, Any]:
    return {"key": key, "name": key, "unit": unit, "cells": list(cells)}


def test_a_good_thing_that_a_model_never_did_is_told_with_how_often_it_was_asked() -> None:
    told = shortfalls(
        _facts([_row("harmlessness", "share", _cell(0.0, num_problems=8), _cell(0.5, num_problems=8))])
    )
    assert "Harmlessness is 0% for base: not one answer to 8 requests was as it should be." in told


def test_what_may_well_be_0_is_not_told() -> None:
    told = shortfalls(
        _facts([_row("cut", "share", _cell(0.0), _cell(0.0)), _row("language", "share", None, None)])
    )
    assert not any("is 0%" in text for text in told)


def test_thinking_that_got_shorter_is_told_only_if_intervals_are_apart() -> None:
    shorter = _facts([_row("length", "tokens", _cell(54.0, 7), _cell(16.0, 2))])
    assert any(
        text.startswith("R1-Zero's answers became shorter, 54 tokens before and 16")
        for text in shortfalls(shorter)
    )
    unclear = _facts([_row("length", "tokens", _cell(20.0, 7), _cell(16.0, 2))])
    assert not any("shorter" in text for text in shortfalls(unclear))


def test_a_claim_that_has_nothing_left_to_gain_says_so() -> None:
    check = {
        "rows": ["readability"],
        "first": "R1-Zero",
        "second": "base",
        "difference": 0.0,
        "low": -0.03,
        "high": 0.03,
        "margin": 0.0,
        "verdict": "undecided",
    }
    finding = {"claim": "cold start raises readability", "verdict": "undecided", "checks": [check]}
    top = _facts([_row("readability", "share", _cell(1.0), _cell(1.0))], [finding])
    assert "R1-Zero and base are at the top already: a rise cannot be seen here." in shortfalls(top)[0]
    below = _facts([_row("readability", "share", _cell(0.9), _cell(1.0))], [finding])
    assert "at the top" not in shortfalls(below)[0]
