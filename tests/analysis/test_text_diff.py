from hypothesis import given
from hypothesis import strategies as st

from dunwu.analysis.text_diff import difference, likeness


def test_words_that_changed_stand_beside_those_that_stayed():
    assert difference("2+2=5, so 5", "2+2=4, so 4") == [
        ("same", "2+2="), ("removed", "5"), ("added", "4"), ("same", ", so "), ("removed", "5"), ("added", "4"),
    ]  # fmt: skip


def test_chinese_is_compared_character_by_character():
    assert difference("答案是五", "答案为五") == [
        ("same", "答案"),
        ("removed", "是"),
        ("added", "为"),
        ("same", "五"),
    ]


@given(st.text(alphabet="ab 一\n<", max_size=60), st.text(alphabet="ab 一\n<", max_size=60))
def test_edits_give_both_texts_back(old, new):
    edits = difference(old, new)
    assert "".join(e.text for e in edits if e.change != "added") == old
    assert "".join(e.text for e in edits if e.change != "removed") == new
    assert (likeness(edits) == 1) == (old == new)


def test_very_long_texts_are_cut_and_nothing_is_lost():
    old, new = "a " * 5000, "a " * 4000
    edits = difference(old, new)
    assert "".join(e.text for e in edits if e.change != "added") == old
    assert "".join(e.text for e in edits if e.change != "removed") == new
