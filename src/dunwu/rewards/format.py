"""The format reward: is the completion one think block followed by one answer block, and nothing else?

Works on the completion's text alone. The text must be decoded without special tokens: an end-of-sequence
marker such as `<|endoftext|>` that is left in it counts as stray text and makes the format wrong.
"""

from dunwu.records import RewardPart
from dunwu.rewards.answers import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN


def format_fault(text: str, *, think_opened_by_prompt: bool = False) -> str | None:
    """Return what is wrong with a completion's format, None if nothing is.

    Right is: `<think>` something `</think>` `<answer>` something `</answer>`, each tag once, "something" more
    than white space, and nothing but white space before, between and after the two blocks.

    Args:
        text: the completion, decoded without special tokens.
        think_opened_by_prompt: the prompt ended with `<think>`; the completion must then not open it again.
    Source: DeepSeek-R1, section 2.2.2 and Table 1.
    Departures: the paper asks for the think tags; that nothing may be missing, doubled, empty or stray is
        ours.
    """
    tags = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
    if think_opened_by_prompt:
        if THINK_OPEN in text:
            return f"{THINK_OPEN} is opened by the prompt and again by the completion"
        text = THINK_OPEN + text
    for tag in tags:
        count = text.count(tag)
        if count != 1:
            return f"{tag} is missing" if count == 0 else f"{tag} occurs {count} times"
    in_order = tuple(sorted(tags, key=text.index))
    if in_order != tags:
        return f"the tags come in the order {' '.join(in_order)}"

    before, thought, between, answer, after = _split_at(text, tags)
    for piece, place in (
        (before, f"before {THINK_OPEN}"),
        (between, f"between {THINK_CLOSE} and {ANSWER_OPEN}"),
        (after, f"after {ANSWER_CLOSE}"),
    ):
        if piece.strip():
            return f"text {place}"
    if not thought.strip():
        return "the think block is empty"
    if not answer.strip():
        return "the answer block is empty"
    return None


def format_part(text: str, *, think_opened_by_prompt: bool = False) -> RewardPart:
    """Return 1 for a right format and 0 for a wrong one, the detail naming what is wrong."""
    fault = format_fault(text, think_opened_by_prompt=think_opened_by_prompt)
    return RewardPart(1.0) if fault is None else RewardPart(0.0, detail=fault)


def _split_at(text: str, tags: tuple[str, ...]) -> list[str]:
    pieces = []
    for tag in tags:
        piece, _, text = text.partition(tag)
        pieces.append(piece)
    return [*pieces, text]
