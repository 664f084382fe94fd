"""Loops at the end of a text, told from patient work."""

import pytest

from dunwu.functional.repetition import ends_in_loop

WORK = (
    "Try 5*4+3=20+3=23, 23-4=19, no. However, try 5+4*3=5+12=17, 17-4=13, no. Wait, try 5*4*3=20*3=60, 60-4=56, no. "
    "Wait, try 5+4-3=9-3=6, 6-4=2, no. But wait, try 5*4-3=20-3=17, 17-4=13, no. However, try 5-4+3=1+3=4, 4-4=0, yes."
)


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("wait, " * 60, True),
        ("等等，再试一次。" * 40, True),
        (WORK + " So the answer is" + " the answer is" * 70, True),
        (WORK, False),
        ("no " * 20, False),  # too short to tell
        ("", False),
        ("the answer is " * 80 + " ".join(str(n * n) for n in range(250)), False),  # it came out of the loop
    ],
)
def test_loops(text: str, loops: bool) -> None:
    assert ends_in_loop(text) is loops


def test_half_a_character_does_not_break_it() -> None:
    assert ends_in_loop("\ud800" * 300)
