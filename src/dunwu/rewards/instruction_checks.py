"""The verifiable instructions of IFEval (arXiv 2311.07911): does a response follow one of them?

The 25 instruction ids and their arguments are those of the google/IFEval data set; the checks are written
anew, because the packages that hold them fetch tokenisers from the network at run time. All are linear in the
response. Called by `instructions`.

Departures: keywords are plain text, not patterns; sentences end at . ! ? and their Chinese forms, not after
    initials and common abbreviations, where IFEval asks nltk's punkt; a Chinese character counts as one word;
    full-width commas are commas and curly quotation marks are quotation marks; a response whose language cannot
    be told counts as English.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from dunwu.data.languages import detect_language, require_known
from dunwu.errors import ConfigError

RELATIONS = ("less than", "at least")
_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_WORD = re.compile("[\u3400-\u9fff]|[^\\W\u3400-\u9fff]+")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]*]*(?=\s|$)|[。！？]+[”’）]*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|fig|no|inc|ltd|co|dept|approx)|(?-i:\b[A-Z]))$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
_HIGHLIGHT = re.compile(r"\*\*[^\n*]*\*\*|\*[^\n*]*\*")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\. ?s\.", re.I), "P.P.S": re.compile(r"p\. ?p\. ?s", re.I)}
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$", re.IGNORECASE)
_DIVIDER = re.compile(r"\s?\*\*\*\s?")

_TEXT, _TEXTS, _COUNT, _RELATION = "a text", "a list of texts", "a count", "a relation"
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "keywords:existence": {"keywords": _TEXTS},
    "keywords:frequency": {"keyword": _TEXT, "frequency": _COUNT, "relation": _RELATION},
    "keywords:forbidden_words": {"forbidden_words": _TEXTS},
    "keywords:letter_frequency": {"letter": _TEXT, "let_frequency": _COUNT, "let_relation": _RELATION},
    "language:response_language": {"language": _TEXT},
    "length_constraints:number_sentences": {"num_sentences": _COUNT, "relation": _RELATION},
    "length_constraints:number_paragraphs": {"num_paragraphs": _COUNT},
    "length_constraints:number_words": {"num_words": _COUNT, "relation": _RELATION},
    "length_constraints:nth_paragraph_first_word": {
        **{"num_paragraphs": _COUNT, "nth_paragraph": _COUNT, "first_word": _TEXT}
    },
    "detectable_content:number_placeholders": {"num_placeholders": _COUNT},
    "detectable_content:postscript": {"postscript_marker": _TEXT},
    "detectable_format:number_bullet_lists": {"num_bullets": _COUNT},
    "detectable_format:constrained_response": {},
    "detectable_format:number_highlighted_sections": {"num_highlights": _COUNT},
    "detectable_format:multiple_sections": {"section_spliter": _TEXT, "num_sections": _COUNT},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "combination:repeat_prompt": {"prompt_to_repeat": _TEXT},
    "startend:end_checker": {"end_phrase": _TEXT},
    "startend:quotation": {},
    "change_case:capital_word_frequency": {"capital_frequency": _COUNT, "capital_relation": _RELATION},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "punctuation:no_comma": {},
}


def argument_fault(instruction: str, arguments: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an instruction's id or arguments, None if nothing is."""
    expected = ARGUMENTS.get(instruction)
    if expected is None:
        return f"no instruction is called {instruction!r}; there are {', '.join(ARGUMENTS)}"
    for name, kind in expected.items():
        if not _is(kind, arguments.get(name)):
            return f"{instruction} has {name} = {arguments.get(name)!r:.60}; it must be {kind}" + (
                f" ({' or '.join(RELATIONS)})" if kind == _RELATION else ""
            )
    if unknown := arguments.keys() - expected.keys():
        return f"{instruction} takes no {sorted(unknown)[0]!r}"
    if instruction == "language:response_language":
        try:
            require_known([arguments["language"]])
        except ConfigError as error:
            return str(error)
    if instruction == "detectable_content:postscript" and arguments["postscript_marker"] not in _POSTSCRIPTS:
        return f"{instruction} has the marker {arguments['postscript_marker']!r}; it must be P.S. or P.P.S"
    return None


def follows(instruction: str, arguments: Mapping[str, Any], text: str) -> bool:
    """Return whether a response follows one instruction.

    Args:
        instruction, arguments: without a fault (`argument_fault`).
        text: the response.
    """
    a, lower = arguments, text.casefold()
    match instruction:
        case "keywords:existence":
            return all(keyword.casefold() in lower for keyword in a["keywords"])
        case "keywords:frequency":
            return _compare(lower.count(a["keyword"].strip().casefold()), a["relation"], a["frequency"])
        case "keywords:forbidden_words":
            return not any(_has_word(lower, word.casefold()) for word in a["forbidden_words"])
        case "keywords:letter_frequency":
            return _compare(
                lower.count(a["letter"].strip().casefold()), a["let_relation"], a["let_frequency"]
            )
        case "language:response_language":
            return detect_language(text) == a["language"]
        case "length_constraints:number_sentences":
            return _compare(count_sentences(text), a["relation"], a["num_sentences"])
        case "length_constraints:number_words":
            return _compare(len(_WORD.findall(text)), a["relation"], a["num_words"])
        case "length_constraints:number_paragraphs":
            return _num_divided(text) == a["num_paragraphs"]
        case "length_constraints:nth_paragraph_first_word":
            paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
            nth = a["nth_paragraph"]
            if len(paragraphs) != a["num_paragraphs"] or not 1 <= nth <= len(paragraphs):
                return False
            return (
                paragraphs[nth - 1].split()[0].strip("\"'“”‘’.,?!").casefold() == a["first_word"].casefold()
            )
        case "change_case:capital_word_frequency":
            capitals = sum(word.isupper() for word in text.split())
            return _compare(capitals, a["capital_relation"], a["capital_frequency"])
        case "change_case:english_capital":
            return text.isupper() and detect_language(lower) == "en"
        case "change_case:english_lowercase":
            return text.islower() and detect_language(lower) == "en"
        case "startend:end_checker":
            return text.strip().strip('"”').casefold().endswith(a["end_phrase"].strip().casefold())
        case "startend:quotation":
            stripped = text.strip()
            return len(stripped) > 1 and stripped[0] in '"“' and stripped[-1] in '"”'
        case "combination:repeat_prompt":
            return text.strip().casefold().startswith(a["prompt_to_repeat"].strip().casefold())
        case "punctuation:no_comma":
            return not any(comma in text for comma in ",，、")
    return _has_format(instruction, a, text)


def _has_format(instruction: str, a: Mapping[str, Any], text: str) -> bool:
    match instruction:
        case "detectable_content:number_placeholders":
            return len(_PLACEHOLDER.findall(text)) >= a["num_placeholders"]
        case "detectable_content:postscript":
            return bool(_POSTSCRIPTS[a["postscript_marker"]].search(text))
        case "detectable_format:number_bullet_lists":
            return sum(_is_bullet(line.lstrip()) for line in text.splitlines()) == a["num_bullets"]
        case "detectable_format:constrained_response":
            return any(option in text for option in _CONSTRAINED)
        case "detectable_format:number_highlighted_sections":
            found = [mark for mark in _HIGHLIGHT.findall(text) if mark.strip("* \t")]
            return len(found) >= a["num_highlights"]
        case "detectable_format:multiple_sections":
            header = re.compile(rf"{re.escape(a['section_spliter'].strip())}\s?\d+")
            return len(header.findall(text)) >= a["num_sections"]
        case "detectable_format:json_format":
            return _is_json(_FENCE.sub("", text.strip()))
        case "detectable_format:title":
            return any(_titled(line) for line in text.splitlines())
        case "combination:two_responses":
            return _two_responses(text)
    raise AssertionError(instruction)


def count_sentences(text: str) -> int:
    """Return the number of sentences in a text; what is left behind the last full stop counts if it has letters."""
    count, start = 0, 0
    for end in _SENTENCE_END.finditer(text):
        if end.group()[0] == "." and _ABBREVIATION.search(text, max(start, end.start() - 8), end.start()):
            continue
        count += any(char.isalnum() for char in text[start : end.start()])
        start = end.end()
    return count + any(char.isalpha() for char in text[start:])


def _compare(count: int, relation: str, threshold: int) -> bool:
    return count < threshold if relation == "less than" else count >= threshold


def _has_word(text: str, word: str) -> bool:
    """Return whether a word stands in a text, in Chinese anywhere, else not within a longer word."""
    pattern = re.escape(word)
    if word[:1].isascii() and (word[:1].isalnum() or word[:1] == "_"):
        pattern = rf"(?<![A-Za-z0-9_]){pattern}"
    if word[-1:].isascii() and (word[-1:].isalnum() or word[-1:] == "_"):
        pattern = rf"{pattern}(?![A-Za-z0-9_])"
    return bool(re.search(pattern, text))


def _num_divided(text: str) -> int:
    """Return the number of paragraphs parted by ***; -1 if one of the inner ones is empty."""
    parts = [part.strip() for part in _DIVIDER.split(text)]
    if not all(parts[1:-1]):
        return -1
    return sum(bool(part) for part in parts)


def _is_bullet(line: str) -> bool:
    return line.startswith("-") or (line.startswith("*") and len(line) > 1 and line[1] != "*")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _titled(line: str) -> bool:
    opened, closed = line.find("<<"), line.rfind(">>")
    return 0 <= opened < closed and bool(line[opened:closed].lstrip("<").rstrip(">").strip())


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    stated = [part for part in parts if part]
    return len(stated) == 2 and stated[0] != stated[1]


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "a text":
            return isinstance(value, str) and bool(value.strip())
        case "a list of texts":
            return isinstance(value, list | tuple) and bool(value) and all(_is(_TEXT, item) for item in value)
        case "a count":
            return (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and value >= 0
                and value == int(value)
            )
        case "a relation":
            return value in RELATIONS
    raise AssertionError(kind)
