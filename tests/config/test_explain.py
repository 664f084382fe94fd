import pytest
from pydantic import BaseModel, ValidationError

from dunwu.config.explain import entry_name, explain, spelled_key, spelled_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ("a", '"a"'),
        ([1, "b"], '[1, "b"]'),
        ({"a": [False]}, "{a = [false]}"),
        ("x" * 100, '"' + "x" * 56 + "..."),
    ],
)
def test_values_are_spelled_as_in_toml_and_cut(value, text):
    assert spelled_value(value) == text


def test_list_entries_are_called_by_a_name_that_is_theirs_alone():
    data = {"stages": [{"kind": "a"}, {"kind": "b"}, {"kind": "b"}, 3]}
    assert spelled_key(["stages", 0, "x"], data) == "stages.a.x"
    assert spelled_key(["stages", 1, "x"], data) == "stages.1.x"
    assert spelled_key(["stages", 3], data) == "stages.3"
    assert spelled_key(["stages", 9, "x"], data) == "stages.9.x"
    assert spelled_key(["absent", "x"], data) == "absent.x"


def test_an_entry_is_called_by_its_name_before_its_kind():
    assert entry_name({"kind": "r1_zero", "name": "warm"}) == "warm"
    assert entry_name({"kind": "r1_zero"}) == "r1_zero"
    assert entry_name({"kind": 3}) is None
    assert entry_name(3) is None


def test_a_complaint_we_have_no_words_for_keeps_pydantics_own():
    class Model(BaseModel):
        seed: bytes

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"seed": 3})
    ((location, sentence),) = explain(caught.value, {"seed": 3})
    assert (location, sentence) == (["seed"], "input should be a valid bytes")
