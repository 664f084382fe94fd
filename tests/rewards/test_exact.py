import pytest

from dunwu.rewards.exact import exact_match


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("Paris", "Paris", True),
        (" New\n York ", "New York", True),
        ("ＡＢＣ　１２", "ABC 12", True),
        ("caf\u0065\u0301", "caf\u00e9", True),
        ("5\u200b", "5", True),
        ("paris", "Paris", False),
        ("Paris.", "Paris", False),
        ("10²", "102", False),
        ("5.0", "5", False),
        ("", "x", False),
    ],
)
def test_exact_match_ignores_spacing_and_encoding_only(answer: str, reference: str, same: bool) -> None:
    assert exact_match(answer, reference) is same
