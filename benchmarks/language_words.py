"""How well and how fast words of mixed languages are told: the figures of docs/rewards.md.

The texts are Django's own interface messages with their translations, which its package holds for about ninety languages:

    pip install django==5.2.*
    python benchmarks/language_words.py

Prints, for sets of languages in one script, (a) the share of words of paragraphs in one language that are told to be in it,
(b) by how much the told share is off where sentences of two languages mix, (c) the same where after every eight words a span of
1, 2, 4 or 8 words of another language stands; then the time of one completion. Draws are seeded.
"""

import ast
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from dunwu.data.languages import WordLabeller
from dunwu.functional.words import Word, words

SETS = (("en", "fr"), ("en", "fr", "de", "es"), ("es", "pt"), ("de", "nl", "en"), ("ru", "uk", "bg"))
SPANS = (1, 2, 4, 8)
_ENTRY = re.compile(r'msgid ((?:".*"\n)+)msgstr ((?:".*"\n)+)')
_MARKUP = re.compile(r"%\(\w+\)s|%s|%d|<[^>]+>|\{[^}]*\}|https?://\S+")


def messages(root: Path, language: str, limit: int = 90) -> list[str]:
    """The longer messages of a language, in an order drawn once."""
    found: dict[str, None] = {}
    for file in sorted(root.glob(f"**/locale/{language}/LC_MESSAGES/*.po")):
        for entry in _ENTRY.finditer(file.read_text(encoding="utf-8")):
            source, translation = (
                "".join(map(ast.literal_eval, text.split("\n")[:-1])) for text in entry.groups()
            )
            text = source if language == "en" else translation
            text = " ".join(_MARKUP.sub(" ", text).split())
            if len(text) > 20 and (language == "en" or translation != source) and "Project-Id" not in text:
                found[text] = None
    drawn = list(found)
    random.Random(0).shuffle(drawn)
    return drawn[:limit]


def told_share(found: Sequence[Word], language: str, labeller: WordLabeller) -> float:
    labels = labeller.label(found)
    return labels.count(language) / len(labels)


def sentences(texts: Sequence[str]) -> list[Word]:
    """The words of texts, each text a sentence of its own; foreign terms in another script are left out."""
    found = [word._replace(sentence=i) for i, text in enumerate(texts) for word in words(text)]
    scripts = [word.script for word in found]
    return [word for word in found if word.script == max(set(scripts), key=scripts.count)]


def measure(languages: Sequence[str], texts: dict[str, list[str]]) -> tuple[float, float, dict[int, float]]:
    labeller, rng = WordLabeller(languages), random.Random(1)
    pure: list[float] = []
    mixed: list[float] = []
    spans: dict[int, list[float]] = {size: [] for size in SPANS}
    for language in languages:
        others = [other for other in languages if other != language]
        for start in range(0, len(texts[language]) - 4, 5):
            paragraph = texts[language][start : start + 5]
            pure.append(told_share(sentences(paragraph), language, labeller))
            foreign = texts[rng.choice(others)]
            pieces = [(text, True) for text in paragraph[:3]] + [
                (text, False) for text in rng.sample(foreign, 2)
            ]
            rng.shuffle(pieces)
            found = sentences([text for text, _ in pieces])
            real = sum(pieces[word.sentence][1] for word in found) / len(found)
            mixed.append(abs(told_share(found, language, labeller) - real))
            for size in SPANS:
                found, real = with_spans(sentences(paragraph), foreign, size, rng)
                spans[size].append(abs(told_share(found, language, labeller) - real))
    return fmean(pure), fmean(mixed), {size: fmean(errors) for size, errors in spans.items()}


def with_spans(
    base: list[Word], foreign: list[str], size: int, rng: random.Random
) -> tuple[list[Word], float]:
    """Put a span of foreign words after every eight words; return all and the share that was there before."""
    long_enough = [found for found in map(words, foreign) if len(found) >= size]
    found: list[Word] = []
    for start in range(0, len(base), 8):
        found += base[start : start + 8]
        source = rng.choice(long_enough)
        first = rng.randrange(len(source) - size + 1)
        found += [word._replace(sentence=found[-1].sentence) for word in source[first : first + size]]
    return found, len(base) / len(found)


def seconds(job: Callable[[], object], repeats: int = 9) -> float:
    """The least processor time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    try:
        import django  # type: ignore[import-untyped]
    except ImportError:
        sys.exit("the texts come from Django's package: pip install django==5.2.*")
    root = Path(django.__file__).parent
    texts = {
        language: messages(root, language) for language in sorted({code for codes in SETS for code in codes})
    }
    for codes in SETS:
        pure, mixed, spans = measure(codes, texts)
        of_spans = ", ".join(f"{size} {100 * error:.1f}" for size, error in spans.items())
        print(
            f"{' '.join(codes):12} one language {100 * pure:.1f}%, off by: sentences {100 * mixed:.1f}, spans of {of_spans}"
        )
    text = " ".join(texts["en"] + texts["fr"])[:8000]
    for languages in (("en", "zh"), ("en", "zh", "fr", "de", "es")):
        labeller = WordLabeller(languages)
        used = seconds(lambda labeller=labeller: labeller.label(words(text)))  # type: ignore[misc]
        print(f"{' '.join(languages):16} {1000 * used:.1f} ms for {len(text)} characters")


if __name__ == "__main__":
    main()
