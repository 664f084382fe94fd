"""The 25 instructions of IFEval: for each, responses that follow it and responses that do not."""

import time
from typing import Any

import pytest

from dunwu.rewards.instruction_checks import ARGUMENTS, argument_fault, count_sentences, follows

ENGLISH = "the quick brown fox jumps over the lazy dog and then it sleeps in the sun all day"
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["moon", "Tide"]},
        ["The MOON makes tides."],
        ["The moon.", "", "tide"],
    ),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "at least"},
        ["Cat and cats", "cat cat cat"],
        ["cat", "dog"],
    ),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "less than"},
        ["cat", "dog"],
        ["cat, Cat", "cat cat cat"],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["cat", "狗"]},
        ["category", "dog"],
        ["A Cat.", "cat", "小狗"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "e", "let_frequency": 3, "let_relation": "at least"},
        ["Eee", "three e"],
        ["ee", ""],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 1, "let_relation": "less than"},
        ["none"],
        ["# Title"],
    ),
    (
        "language:response_language",
        {"language": "fr"},
        ["Je pense que le chat est sur la table et qu'il dort depuis ce matin."],
        [ENGLISH, "今天天气很好。"],
    ),
    ("language:response_language", {"language": "zh"}, ["今天天气很好。"], [ENGLISH]),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two.", "One! Two?", "一。二。", "It is 3.5 m. Yes."],
        ["One.", "Dr. Smith is here.", "It costs 3.50.", "e.g. this", ""],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "less than"},
        ["One.", "no end"],
        ["One. Two.", "One. and more"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        ["one two three", "one-two three", "今天好"],
        ["one two", "今天", "..."],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "less than"},
        ["one two", ""],
        ["one two three"],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***"],
        ["a", "a\n***\n***\nb", "a *** b *** c", "a\n\nb"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "However"},
        ["First.\n\nHowever, yes.", 'First.\n\n"however" it is'],
        ["However.\n\nFirst.", "First.\n\nBut.", "First.\n\nHowever.\n\nThird.", "However"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[a] [b]", "[a][b][c]"],
        ["[a]", "[a [b"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["Bye.\nP.S. Hi", "p.s. hi"],
        ["PS hi", "Bye"],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["P.P.S. hi", "p. p. s"], ["P.S. hi"]),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b", "x\n* a\n- b\n**bold**"],
        ["* a", "* a\n* b\n* c", "**a**\n**b**", "1. a\n2. b"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", " My answer is maybe. "],
        ["Yes.", "My answer is perhaps."],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b*", "**a** and *b*"],
        ["*a*", "** ** and *b*", "a * b"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        ["Section 1\na\nSection 2\nb", "Section1 Section2"],
        ["Section 1", "Section one Section two", "section 1 section 2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "```\n[]\n```"],
        ["{a: 1}", 'Here: {"a": 1}', "", "[" * 100_000],
    ),
    (
        "detectable_format:title",
        {},
        ["<<poem of joy>>\nx", "x <<a>> y"],
        ["<poem>", "<<>>", "<< >>", ">>a<<", "<<a\nb>>"],
    ),
    (
        "combination:two_responses",
        {},
        ["a******b", "a\n******\nb\n******"],
        ["a", "a******a", "a******b******c", "a************b"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Write a poem."},
        ["Write a poem.\nRoses", " write a POEM. Roses"],
        ["Sure! Write a poem.", "Write a song."],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Any other questions?"},
        ["Hi. Any other questions?", '"any other questions?"\n'],
        ["Any other questions? No.", "Hi."],
    ),
    ("startend:quotation", {}, ['"Hello"', ' "a b" ', "“a”"], ["Hello", '"Hello', '"', ""]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["THE end IS", "WELL-KNOWN A"],
        ["THE end", "The Is", ""],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 1, "capital_relation": "less than"},
        ["no caps"],
        ["A cap"],
    ),
    ("change_case:english_capital", {}, [ENGLISH.upper()], [ENGLISH, ENGLISH.title(), "今天", "123"]),
    ("change_case:english_lowercase", {}, [ENGLISH], [ENGLISH.upper(), "The end.", "今天", "123"]),
    ("punctuation:no_comma", {}, ["No commas here."], ["Yes, one.", "有，逗号"]),
]


@pytest.mark.parametrize(
    ("instruction", "arguments", "response"),
    [(name, args, text) for name, args, good, _ in CASES for text in good],
)
def test_followed(instruction: str, arguments: dict[str, Any], response: str) -> None:
    assert argument_fault(instruction, arguments) is None
    assert follows(instruction, arguments, response)


@pytest.mark.parametrize(
    ("instruction", "arguments", "response"),
    [(name, args, text) for name, args, _, bad in CASES for text in bad],
)
def test_not_followed(instruction: str, arguments: dict[str, Any], response: str) -> None:
    assert not follows(instruction, arguments, response)


def test_every_instruction_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(ARGUMENTS)
    assert len(ARGUMENTS) == 25


@pytest.mark.parametrize(
    ("instruction", "arguments", "fault"),
    [
        ("keywords:nothing", {}, "no instruction is called 'keywords:nothing'"),
        ("keywords:existence", {}, "keywords = None; it must be a list of texts"),
        ("keywords:existence", {"keywords": []}, "must be a list of texts"),
        ("keywords:existence", {"keywords": ["a", " "]}, "must be a list of texts"),
        ("keywords:frequency", {"keyword": "a", "frequency": -1, "relation": "at least"}, "must be a count"),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": True, "relation": "at least"},
            "must be a count",
        ),
        ("keywords:frequency", {"keyword": " ", "frequency": 1, "relation": "at least"}, "must be a text"),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": 1, "relation": "at most"},
            "less than or at least",
        ),
        ("punctuation:no_comma", {"count": 1}, "takes no 'count'"),
        ("language:response_language", {"language": "klingon"}, "language 'klingon' is not known"),
        ("detectable_content:postscript", {"postscript_marker": "NB"}, "must be P.S. or P.P.S"),
    ],
)
def test_faults_of_arguments(instruction: str, arguments: dict[str, Any], fault: str) -> None:
    assert fault in str(argument_fault(instruction, arguments))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("...", 0), ("One.", 1), ("One. Two", 2), ("Wait... what? Yes!", 3), ("He said \"Go.\" Then left.", 2),
        ("Mr. and Mrs. Smith met J. R. Doe.", 1), ("See www.example.com now.", 1), ("一句。两句！", 2), ("3.14 is pi.", 1),
    ],
)  # fmt: skip
def test_sentences(text: str, count: int) -> None:
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    "piece", ["[", "*", "<<", "\n", "p. ", "a.", "Section 1", "******", '"', "word ", "***\n"]
)
def test_checks_are_linear_in_hostile_text(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    for instruction, arguments, _, _ in CASES:
        if "language" not in instruction and "english" not in instruction:
            follows(instruction, arguments, text)
    assert time.process_time() - start < 4.0
