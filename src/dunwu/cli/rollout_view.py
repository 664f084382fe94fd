"""Draws rollouts for people: a problem, and each completion of it with reward, parts and advantage. Reads no
files."""

from collections.abc import Sequence
from enum import StrEnum

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from dunwu.cli.thinking import styled
from dunwu.functional.reflection import checks_itself
from dunwu.records import RewardPart, Rollout, RolloutGroup


class Only(StrEnum):
    """Sorts of rollouts."""

    RIGHT = "right"
    WRONG = "wrong"
    TRUNCATED = "truncated"
    REFLECTING = "reflecting"
    """Holds a reflection word."""
    CORRECTED = "corrected"
    """Went wrong, noticed it, and ended right, as far as a rule can see."""


def matches(rollout: Rollout, only: Only | None) -> bool:
    """Whether a rollout is of the sort that was asked for."""
    match only:
        case Only.RIGHT:
            return rollout.reward.correct is True
        case Only.WRONG:
            return rollout.reward.correct is False
        case Only.TRUNCATED:
            return rollout.completion.finish_reason == "length"
        case Only.REFLECTING:
            return checks_itself(rollout.text)
        case Only.CORRECTED:
            return rollout.reward.correct is True and _corrected_itself(rollout)
        case None:
            return True


def _corrected_itself(rollout: Rollout) -> bool:
    from dunwu.analysis.rollout_rows import (
        thinking_end,
    )  # here: they load pyarrow, which other commands do without
    from dunwu.analysis.self_correction import find_correction

    return find_correction(rollout.text, rollout.reward.answer, thinking_end(rollout.text)) is not None


def group_panel(
    group: RolloutGroup, members: Sequence[int], *, max_characters: int | None, dropped: bool
) -> Panel:
    """Draw a group and those of its rollouts whose places are in `members`.

    Args:
        max_characters: longer completions are cut in the middle; None: shown whole.
        dropped: the group was replaced before training.
    """
    problem = group.prompt.problem
    title = Text(f"{problem.id} ({problem.kind}, {problem.language})", style="bold")
    parts: list[Text] = [Text(problem.question.strip())]
    if not _is_general(group):  # nothing to compare with
        parts.append(Text(f"reference: {problem.reference}", style="dim"))
    parts.append(Text(_group_line(group, dropped=dropped), style="dim"))
    for i in members:
        parts += [Text(), _headline(group.rollouts[i], group.advantages[i], _is_general(group))]
        parts.append(styled(_cut(group.rollouts[i].text.strip(), max_characters), thinking=_opened(group)))
    return Panel(Group(*parts), title=title, title_align="left")


def _group_line(group: RolloutGroup, *, dropped: bool) -> str:
    totals = [r.reward.total for r in group.rollouts if r.reward.total is not None]
    right = sum(r.reward.correct is True for r in group.rollouts)
    line = "no rule grades it" if _is_general(group) else f"{right} of {len(group.rollouts)} right"
    if totals:
        line += f", rewards {min(totals):.3g} to {max(totals):.3g}, mean {sum(totals) / len(totals):.3g}"
    if len(totals) < len(group.rollouts):
        line += f", {len(group.rollouts) - len(totals)} without reward"
    return line + (", replaced before training because it had no spread" if dropped else "")


def _is_general(group: RolloutGroup) -> bool:
    return group.prompt.problem.grader == "preference"


def _headline(rollout: Rollout, advantage: float | None, is_general: bool) -> Text:
    correct = rollout.reward.correct
    verdict, style = {True: ("right", "green"), False: ("wrong", "red"), None: ("not graded", "yellow")}[
        correct
    ]
    if is_general:
        verdict, style = "general prompt", "cyan"
    line = Text.assemble((f"#{rollout.sample_index} {verdict}", f"bold {style}"))
    total = rollout.reward.total
    line.append(f"  reward {'none' if total is None else f'{total:.3g}'}")
    line.append(f"  advantage {'none' if advantage is None else f'{advantage:+.3f}'}", style="bold")
    for name, part in rollout.reward.parts.items():
        line.append(f"  {name} {_part(part)}")
    cut = rollout.completion.finish_reason == "length"
    line.append(f"  {len(rollout.completion.token_ids)} tokens{', cut at the limit' if cut else ''}")
    if rollout.reward.answer is not None:
        line.append(f"  answer {rollout.reward.answer}")
    return line


def _part(part: RewardPart) -> str:
    value = part.status.replace("_", " ") if part.value is None else f"{part.value:.3g}"
    return f"{value} ({part.detail})" if part.detail else value


def _opened(group: RolloutGroup) -> bool:
    return group.prompt.text.rstrip().endswith("<think>")


def _cut(text: str, max_characters: int | None) -> str:
    if max_characters is None or len(text) <= max_characters:
        return text
    head, tail = max_characters * 2 // 3, max_characters // 3
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[... {left_out} characters left out; --full shows them ...]\n{text[-tail:]}"
