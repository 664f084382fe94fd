"""Marks that could not be told apart are refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from dunwu.config.output_form import OutputForm, SpecialTokenForm, ThinkForm

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
