"""The exact grader: the same text, letter by letter, however it was spaced or encoded."""

from dunwu.rewards.notation import normalise_text


def exact_match(answer: str, reference: str) -> bool:
    """Return whether the two texts are equal after `normalise_text`; upper and lower case differ, so does
    punctuation."""
    return normalise_text(answer) == normalise_text(reference)
