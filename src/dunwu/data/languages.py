"""Which language a word, and a question, is in: by script, and within one script by py3langid.

py3langid carries its model inside its package (139 languages, 4.6 MB) and needs nothing but numpy. It is loaded only when two
languages of one script are to be told apart.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import groupby, pairwise
from typing import Any

from dunwu.errors import ConfigError
from dunwu.functional.words import JAPANESE, Word, words

OTHER = "other"
"""The language of a word that none of the languages in question writes."""
CHINESE_SHARE = 0.3
SWITCH_COST, SENTENCE_SWITCH_COST = 5.0, 2.0
"""What a change of language costs between two words, and between two sentences, in nats."""
MIN_QUESTION_WORDS, MIN_QUESTION_LEAD = 5, 3.0
"""A question in Latin letters counts as another language than English only if it has this many words, and the other language
leads by this many nats a word. Terse English of Latin descent ("Factor polynomial modulo prime") leads by up to 2.5 the wrong
way; sentences of other languages lead by 5 and more."""
_QUESTION_LANGUAGES = (
    "en", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "pl", "cs", "sk", "hu", "ro", "tr", "vi",
    "id", "ms", "hr", "sl", "lt", "lv", "et", "sq", "sw", "tl", "af", "ca", "az", "uz",
)  # fmt: skip
"""Those in Latin letters that questions are looked for in."""

_SCRIPTS = {
    "CJK": "zh", JAPANESE: "ja", "HANGUL": "ko", "GREEK": "el", "THAI": "th", "LAO": "lo", "KHMER": "km", "MYANMAR": "my",
    "TIBETAN": "dz", "GEORGIAN": "ka", "ARMENIAN": "hy", "ETHIOPIC": "am", "BENGALI": "bn as", "GURMUKHI": "pa",
    "GUJARATI": "gu", "ORIYA": "or", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml", "SINHALA": "si",
    "HEBREW": "he", "DEVANAGARI": "hi mr ne sa", "ARABIC": "ar fa ur ps ug sdh",
    "CYRILLIC": "ru uk bg be mk sr kk ky mn tg tt ba",
}  # fmt: skip
"""Languages by script, the most spoken first. Serbian is written in Latin letters too."""
_LEFT_OUT = {"zxx", "ary", "arz", "gom", "grc", "hbo", "uzs", "wuu", "yue"}
"""What py3langid knows besides, and what is no language or cannot be told from its neighbours by script."""
_NOT_LATIN = {language for languages in _SCRIPTS.values() for language in languages.split()}


class WordLabeller:
    """Says which of some languages each word of a text is in. Thread-safe.

    A word in a script that only one of them writes is in that one; in a script that none of them writes, it is in OTHER. Among
    languages of one script the most probable path through all words of that script is taken: each word has the likelihood that
    py3langid gives it by itself, and a change of language costs SWITCH_COST, between sentences SENTENCE_SWITCH_COST. So a
    foreign word alone is told where it is clearly foreign, and a borrowed or short one goes with its neighbours.

    Args:
        languages: two-letter codes (ISO 639-1), at least one.
    Raises:
        ConfigError: a code is not known.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = tuple(dict.fromkeys(languages))
        require_known(self.languages)

    def label(self, found: Sequence[Word]) -> list[str]:
        """Return the language of each word, in their order."""
        labels = [OTHER] * len(found)
        by_script = sorted(range(len(found)), key=lambda i: found[i].script)
        for script, group in groupby(by_script, key=lambda i: found[i].script):
            places, candidates = list(group), self._candidates(script)
            if len(candidates) > 1:
                path = _most_probable([found[i] for i in places], candidates)
            else:
                path = list(candidates or (OTHER,)) * len(places)
            for place, language in zip(places, path, strict=True):
                labels[place] = language
        return labels

    def _candidates(self, script: str) -> tuple[str, ...]:
        candidates = tuple(language for language in self.languages if writes(language, script))
        # Chinese characters outside of Japanese sentences are Chinese, if Chinese is in question at all.
        return ("zh",) if script == "CJK" and "zh" in candidates else candidates


def writes(language: str, script: str) -> bool:
    """Whether a language is written in a script, by the name that `Word.script` has."""
    if script == "LATIN":
        return language not in _NOT_LATIN or language == "sr"
    if script == "CJK" and language == "ja":
        return True
    return language in _SCRIPTS.get(script, "").split()


def require_known(languages: Sequence[str]) -> None:
    """Refuse codes of languages that cannot be told.

    Raises:
        ConfigError: the message names the codes that are known.
    """
    unknown = [language for language in languages if language not in _NOT_LATIN and language != "en"]
    if not unknown:
        return
    known = sorted({*identifier_languages(), *_NOT_LATIN})
    if wrong := [language for language in unknown if language not in known]:
        raise ConfigError(f"language {wrong[0]!r} is not known; there are {', '.join(known)}")


def identifier_languages() -> tuple[str, ...]:
    """The codes of the languages that can be told by their words."""
    return tuple(code for code in _identifier(()).labels if code not in _LEFT_OUT)


def detect_language(text: str) -> str:
    """Return the language of a question; "en" where nothing tells.

    That is Chinese if at least CHINESE_SHARE of its words are Chinese characters, since terms and names are often left in Latin
    letters; else the language of the script that most words have. Among languages of one script py3langid decides, and
    for Latin letters English stands unless another language is clearly ahead.
    """
    found = words(text)
    counts: dict[str, int] = {}
    for word in found:
        counts[word.script] = counts.get(word.script, 0) + word.num_words
    if counts.get("CJK", 0) >= CHINESE_SHARE * max(1, sum(counts.values())):
        return "zh"
    script = max(counts, key=lambda name: counts[name], default="LATIN")
    of_script = [word.text for word in found if word.script == script]
    if script == "LATIN":
        return _latin_language(of_script)
    languages = _SCRIPTS.get(script, "en").split()
    if len(languages) == 1:
        return languages[0]
    scores = _fresh_scores(" ".join(of_script), tuple(languages))
    return max(zip(scores, languages, strict=True))[1]


def _latin_language(found: list[str]) -> str:
    if len(found) < MIN_QUESTION_WORDS:
        return "en"
    scores = dict(zip(_QUESTION_LANGUAGES, _fresh_scores(" ".join(found), _QUESTION_LANGUAGES), strict=True))
    best = max(scores, key=lambda code: scores[code])
    return best if scores[best] - scores["en"] >= MIN_QUESTION_LEAD * len(found) else "en"


def _most_probable(found: Sequence[Word], languages: tuple[str, ...]) -> list[str]:
    """The Viterbi path through a script's words."""
    indices = range(len(languages))
    best = list(_scores(found[0].text, languages))
    steps: list[list[int]] = []
    for before, word in pairwise(found):
        cost = SWITCH_COST if before.sentence == word.sentence else SENTENCE_SWITCH_COST
        leader = max(indices, key=best.__getitem__)
        origins = [i if best[i] >= best[leader] - cost else leader for i in indices]
        likelihoods = _scores(word.text, languages)
        best = [
            best[o] - (cost if o != i else 0.0) + likelihoods[i]
            for i, o in zip(indices, origins, strict=True)
        ]
        steps.append(origins)
    place = max(indices, key=best.__getitem__)
    path = [place]
    for origins in reversed(steps):
        place = origins[place]
        path.append(place)
    return [languages[i] for i in reversed(path)]


def _fresh_scores(text: str, languages: tuple[str, ...]) -> tuple[float, ...]:
    """Log-likelihood of a text in each language, the model's prior taken out, the highest 0."""
    identifier = _identifier(languages)
    prior = dict(zip(identifier.nb_classes, identifier.nb_pc.tolist(), strict=True))
    ranked = dict(identifier.rank(f" {text.lower()} "))
    scores = [ranked[language] - prior[language] for language in languages]
    return tuple(score - max(scores) for score in scores)


_scores = lru_cache(maxsize=65536)(_fresh_scores)


@cache
def _identifier(languages: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if languages:
        identifier.set_languages(list(languages))
    return identifier
