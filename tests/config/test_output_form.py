"""Marks that could not be told apart are refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from dunwu.config.output_form import OutputForm, SpecialTokenForm, ThinkForm
from dunwu.config.stage import R1ZeroStage

FORM: TypeAdapter[OutputForm] = TypeAdapter(OutputForm)


def test_kind_names_the_form() -> None:
    assert FORM.validate_python({"kind": "think", "boxed": True}) == ThinkForm(boxed=True)
    assert FORM.validate_python({"kind": "special_token"}) == SpecialTokenForm(
        opening="|special_token|", separator="|special_token|"
    )


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ({"opening": ""}, "opening is ''"),
        ({"separator": " <sep>"}, "separator is ' <sep>'"),
        ({"opening": "<r>", "separator": "<r><s>"}, "cannot be told apart"),
        ({"opening": "<r><s>", "separator": "<s>"}, "cannot be told apart"),
    ],
)
def test_tokens_that_cannot_be_told_apart_are_refused(tokens: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SpecialTokenForm(**tokens)


@pytest.mark.parametrize("kind", ["think", "special_token"])
def test_a_form_without_answer_tags_needs_another_place_for_the_answer(kind: str) -> None:
    stage = {"task": {"kind": "world"}, "output_form": {"kind": kind}, "rewards": [{"kind": "accuracy"}]}
    with pytest.raises(ValidationError, match=f'output_form.kind "{kind}" has none.*"boxed" or "text"'):
        R1ZeroStage.model_validate(stage)
    stage["rewards"] = [{"kind": "accuracy", "answer_from": "boxed"}]
    assert R1ZeroStage.model_validate(stage).output_form.kind == kind
