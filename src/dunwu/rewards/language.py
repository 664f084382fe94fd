"""The language-consistency reward: how much of the chain of thought is in the language of the question.

What a word is, is decided in `functional.words`; which language it is in, in `data.languages`.
"""

from collections import Counter
from functools import lru_cache

from dunwu.config.shaping import LanguageReward
from dunwu.data.languages import WordLabeller
from dunwu.errors import ConfigError
from dunwu.functional.prose import compatible
from dunwu.functional.words import Word, words
from dunwu.records import RewardPart
from dunwu.rewards.item import GradingItem


def language_part(item: GradingItem, config: LanguageReward) -> RewardPart:
    """Return the share of words of the chain of thought that are in the target language.

        value = Num(words in the target language) / Num(words)

    The target is `config.target`, else the question's language. Formulas, code, digits, single letters, identifiers, links,
    acronyms, operators, units and names are no words (`functional.prose`, `functional.words`), and neither are words of another
    language that the question itself holds.

    Returns:
        "not_applicable" without chain of thought or without words in it; "not_gradable" if the question's language is unknown.
        The detail counts the words of each language.
    Source: DeepSeek-R1 v2, eq. 7.
    Departures: what counts as a word, and as one of the target language, is not stated there (docs/departures.md).
    """
    target = config.target or item.problem.language
    try:
        labeller = _labeller((target, *config.languages))
    except ConfigError as error:
        return RewardPart(None, "not_gradable", f"the question's language: {error}")
    if item.reasoning is None:
        return RewardPart(None, "not_applicable", "no chain of thought")
    counts = count_languages(item.reasoning, labeller, target, item.problem.question)
    total = sum(counts.values())
    if total == 0:
        return RewardPart(None, "not_applicable", "no words in the chain of thought")
    spelled = ", ".join(f"{count} {language}" for language, count in counts.most_common())
    return RewardPart(counts[target] / total, detail=f"words: {spelled}")


def count_languages(text: str, labeller: WordLabeller, target: str, question: str = "") -> Counter[str]:
    """Count the words of a text by language, without names and without what the question holds in another language.

    Capitalised words count as words where German is among the languages, because its nouns are.
    """
    found = words(text)
    counts_names = "de" in labeller.languages
    counts: Counter[str] = Counter()
    for word, language in zip(found, labeller.label(found), strict=True):
        if word.is_name and not counts_names:
            continue
        if language != target and _is_quoted(word, question):
            continue
        counts[language] += word.num_words
    return counts


def require_languages(config: LanguageReward) -> None:
    """Refuse a reward whose languages are not known.

    Raises:
        ConfigError: the message names the languages that are.
    """
    _labeller((*([config.target] if config.target else []), *config.languages))


def _is_quoted(word: Word, question: str) -> bool:
    text, vocabulary = _question(question)
    return word.text.lower() in vocabulary or (word.script in ("CJK", "JAPANESE") and word.text in text)


@lru_cache(maxsize=1024)
def _question(question: str) -> tuple[str, frozenset[str]]:
    return compatible(question), frozenset(word.text.lower() for word in words(question))


@lru_cache(maxsize=256)
def _labeller(languages: tuple[str, ...]) -> WordLabeller:
    return WordLabeller(languages)
