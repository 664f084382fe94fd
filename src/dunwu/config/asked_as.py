"""How each model of a comparison is asked, where its column does not say: as it was trained.

Looks at the recipe, and through a function that is given at model folders. Called by the comparison, its checks, and the plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dunwu.config.comparison import ComparisonColumn
from dunwu.config.output_form import R1_ZERO_FORM, OutputForm, SpecialTokenForm, ThinkAnswerForm, ThinkForm
from dunwu.config.recipe import Recipe
from dunwu.config.reward import AccuracyReward, AnswerForm
from dunwu.config.sft import R1Template, SftChatTemplate
from dunwu.config.task import ChatTemplate, R1ZeroTemplate, Template
from dunwu.errors import ConfigError

HasChatTemplate = Callable[[str], bool | None]
"""Whether the model of a path has a chat template; None where it is not on this machine."""


@dataclass(frozen=True)
class AskedAs:
    """How a column's model is asked, and why so.

    Args:
        form: with `finds_opening`, whether its prompt opens the thinking is taken from the prompt itself.
    """

    template: Template
    form: OutputForm
    answer_from: tuple[AnswerForm, ...]
    why: str
    finds_opening: bool = False


def asked_as(column: ComparisonColumn, recipe: Recipe, has_chat_template: HasChatTemplate) -> AskedAs:
    """Find out how a column's model is asked.

    What the column says; else the template and form of the stage that made the model; for a model of the recipe those of the
    first stage that starts from it and samples it (R1-Zero's, for the base model); else a chat template if it has one, and
    R1-Zero's template if not.

    Raises:
        ConfigError: nothing tells; the message asks for `template` and `output_form`.
    """
    if column.template is not None and column.output_form is not None:
        return _asked(column, column.template, column.output_form, "as the column says")
    for stage in recipe.stages:
        if stage.name == column.model:
            return _as_trained(column, stage)
    for stage in recipe.stages:
        if getattr(stage, "start", None) == column.model and getattr(stage, "output_form", None) is not None:
            return _as_trained(column, stage)
    known = has_chat_template(recipe.all_models[column.model].path)
    if known is None:
        raise ConfigError(
            f"nothing tells how to ask {column.model}: no stage that samples starts from it, and it is not on this machine, so "
            "that its chat template cannot be looked for; give template and output_form"
        )
    if known:
        return _asked(column, ChatTemplate(), ThinkForm(), "by its chat template", finds_opening=True)
    return _asked(column, R1ZeroTemplate(), R1_ZERO_FORM, "it has no chat template")


def _as_trained(column: ComparisonColumn, stage: Any) -> AskedAs:
    """As the stage samples, or as its conversations are written."""
    template, form = stage.template, getattr(stage, "output_form", None)
    why = f"as in stage {stage.name}"
    if form is not None:
        graded = [reward for reward in getattr(stage, "rewards", ()) if isinstance(reward, AccuracyReward)]
        return _asked(column, template, form, why, answer_from=graded[0].answer_from if graded else None)
    match template:
        case SftChatTemplate(system=system):
            return _asked(column, ChatTemplate(system=system), ThinkForm(), why, finds_opening=True)
        case R1Template(opening=opening, separator=separator):
            marks = opening.strip(), separator.strip()
            if marks == ("<think>", "</think>"):
                return _asked(column, ChatTemplate(), ThinkForm(opened_by_prompt=False), why)
            form = SpecialTokenForm(opening=marks[0], separator=marks[1])
            return _asked(column, ChatTemplate(), form, why)
        case R1ZeroTemplate():
            return _asked(column, template, R1_ZERO_FORM, why)
    raise ConfigError(
        f'stage {stage.name} has the template "{template.kind}", which does not tell how thinking and answer are marked; give '
        "template and output_form"
    )


def _asked(
    column: ComparisonColumn,
    template: Template,
    form: OutputForm,
    why: str,
    *,
    answer_from: tuple[AnswerForm, ...] | None = None,
    finds_opening: bool = False,
) -> AskedAs:
    usual: tuple[AnswerForm, ...] = (
        ("answer_tag",) if isinstance(form, ThinkAnswerForm) else ("boxed", "text")
    )
    return AskedAs(template, form, column.answer_from or answer_from or usual, why, finds_opening)
