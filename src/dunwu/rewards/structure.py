"""Rewards for visible structure: how many of the form's marks are there, and how many steps the reasoning marks as such."""

from collections import Counter

import regex

from dunwu.config.output_form import OutputForm
from dunwu.config.shaping import ReasoningStepsReward
from dunwu.functional.prose import compatible
from dunwu.records import RewardPart
from dunwu.rewards.item import GradingItem
from dunwu.rewards.output_form import written_marks

_CHINESE_NUMBERS = "一二三四五六七八九十"
_NUMBER = rf"[{_CHINESE_NUMBERS}0-9]{{1,3}}"
_STEP = regex.compile(
    r"^[ \t>]*+(?:"
    rf"(?:#+[ ]*+)?(?:\*\*)?(?:step[ ]*+(?P<step>[0-9]{{1,3}})|第(?P<di>{_NUMBER})步|步骤[ ]*+(?P<bu>{_NUMBER}))"
    r"|(?:\*\*)?\(?(?P<number>[0-9]{1,3})(?:[.)](?=[\s*])|[、.)](?=\p{Han}))"
    r"|(?P<bullet>[-*+•])(?=[ \t]\S)"
    r")"
    r"|(?<![\p{L}\p{M}])(?P<word>first(?:ly)?|second(?:ly)?|third(?:ly)?|next|finally|lastly),"
    r"|(?P<chinese>首先|其次|再次|然后|接着|接下来|最后|第[一二三四五](?=[,:]))",
    regex.MULTILINE | regex.IGNORECASE,
)
_SAME = {"firstly": "first", "secondly": "second", "thirdly": "third", "lastly": "finally"}


def tag_count_part(item: GradingItem, form: OutputForm) -> RewardPart:
    """Return how many of the form's marks the completion has, as a share.

        value = sum over marks of (c if c <= k else 0) / sum over marks of k

    for a mark that a right format holds k times and the completion c times: a mark that is there too often earns nothing. A mark
    that the prompt already wrote is not asked for.

    Returns:
        "not_applicable" for a form without marks.
    Source: `tag_count_reward` of open-r1, there 0.25 for each of four tags.
    Departures: open-r1 wants line breaks around each tag, whatever the format reward says, and cannot give the whole reward
        where the prompt opened `<think>`.
    """
    wanted = Counter(written_marks(form))
    if not wanted:
        return RewardPart(None, "not_applicable", "the output form has no marks")
    counts = {mark: item.text.count(mark) for mark in wanted}
    earned = sum(count for mark, count in counts.items() if count <= wanted[mark])
    faults = [f"{mark} {counts[mark]} times" for mark in wanted if counts[mark] != wanted[mark]]
    return RewardPart(earned / wanted.total(), detail=", ".join(faults))


def reasoning_steps_part(item: GradingItem, config: ReasoningStepsReward) -> RewardPart:
    """Return how many different steps the chain of thought marks as such, up to enough.

        value = min(1, steps / enough_steps)

    A step is, at the beginning of a line, "Step 1", "第一步", "步骤1", a number with a full stop or bracket and a space
    after it, or an item of a list; anywhere, "First," "Secondly," "Next," "Finally," and 首先, 其次, 然后, 接着, 最后. The
    same number or word counts once, each item of a list counts. Without chain of thought there are no steps: 0.

    Source: `reasoning_steps_reward` of open-r1.
    Departures: open-r1 counts the answer too, takes "-5" and bold text for items of a list, sees a number only at the very
        beginning of the completion, and pays for "First, First, First,".
    """
    steps: set[tuple[str, str]] = set()
    for match in _STEP.finditer(compatible(item.reasoning or "")):
        kind = match.lastgroup or ""
        text = match[kind].lower()
        if kind == "bullet":
            text = str(match.start())
        elif kind in ("step", "di", "bu", "number"):
            kind, text = "number", _plain_number(text)
        steps.add((kind, _SAME.get(text, text)))
    value = min(1.0, len(steps) / config.enough_steps)
    return RewardPart(value, detail=f"{len(steps)} steps")


def _plain_number(text: str) -> str:
    return str(_CHINESE_NUMBERS.index(text) + 1) if text in _CHINESE_NUMBERS else text
