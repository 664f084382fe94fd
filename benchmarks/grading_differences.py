"""Where math-verify, TRL's and open-r1's accuracy rewards and dunwu judge the corpus of maths pairs otherwise than people.

    .venv-bench/bin/python -m benchmarks.grading_differences [--cpu-seconds 10]

Writes the tables between the marks in `docs/grading.md`. Every side sees the same text: thinking, and behind it
the answer in a box, or as it stands where it brings its own box, delimiters or words; a reference is put
between dollar signs, the form in which all of them read it best. A side that gives no verdict within its
processor time is ended and started again.
"""

import argparse
import json
import selectors
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "rewards" / "corpus"))

from maths_corpus import Pair, read_pairs  # noqa: E402

from benchmarks.peers.grading import SIDES  # noqa: E402

DOCUMENT = ROOT / "docs" / "grading.md"
BEGIN, END = (
    "<!-- differences: written by benchmarks/grading_differences.py -->",
    "<!-- end of differences -->",
)
OWN_FORM = ("$", "\\boxed", "\\(", "\\[", "**", "nswer", "答案")
START_SECONDS = 300.0
MAX_EXAMPLES, MAX_SHOWN = 3, 46


class Side:
    """One side's process."""

    def __init__(self, name: str, cpu_seconds: float) -> None:
        self._name, self._cpu_seconds = name, cpu_seconds
        self._process: subprocess.Popen[str] | None = None

    def judge(self, pair: Pair) -> str:
        """Return its verdict on a pair, "no verdict" if it gives none in time or dies."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps(shown(pair)) + "\n")
        process.stdin.flush()
        verdict = self._read(process, START_SECONDS)
        if not verdict:
            self.close()
        return verdict or "no verdict"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.grading", self._name, str(self._cpu_seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._read(self._process, START_SECONDS) != "ready":
            self.close()
            raise SystemExit(
                f"{self._name} does not start: run benchmarks/environment.sh, and use its Python"
            )
        return self._process

    @staticmethod
    def _read(process: "subprocess.Popen[str]", seconds: float) -> str:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline().strip() if selector.select(seconds) else ""


def shown(pair: Pair) -> dict[str, Any]:
    """Return the reference and the completion that every side judges, each in the form that all of them read best;
    `answer_from` is for dunwu, which is told where a whole completion has its answer."""
    reference, completion = pair.reference, pair.completion
    if reference.strip() and not any(mark in reference for mark in ("$", "\\boxed", "####")):
        reference = f"${reference}$"
    if pair.answer is not None:
        answer = _bare(pair.answer)
        if not any(mark in answer for mark in OWN_FORM):
            answer = f"\\boxed{{{answer}}}"
        completion = f"<think>Let me think.</think>\n{answer}"
    answer_from = ["boxed", "text"] if pair.answer is not None else [pair.answer_from]
    return {"reference": reference, "completion": completion, "answer_from": answer_from}


def _bare(answer: str) -> str:
    """Return an answer without delimiters around the whole of it: no one writes them within a box."""
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`")):
        inner = answer[len(left) : -len(right)]
        if inner and answer == left + inner + right and left not in inner:
            return inner
    return answer


def comparable(pair: Pair) -> bool:
    """Return whether a pair can be put to every side: of whole completions those whose answer is in a box."""
    return pair.answer is not None or (pair.answer_from == "boxed" and not pair.think_opened_by_prompt)


def main() -> None:
    """Put every pair to every side and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpu-seconds", type=float, default=10.0, help="for one verdict")
    limit = parser.parse_args().cpu_seconds
    pairs = [pair for pair in read_pairs() if comparable(pair)]
    verdicts: dict[str, list[str]] = {}
    for name in SIDES:
        side = Side(name, limit)
        try:
            verdicts[name] = [side.judge(pair) for pair in pairs]
        finally:
            side.close()
        faults = sum(found != pair.verdict for found, pair in zip(verdicts[name], pairs, strict=True))
        print(f"{name}: {faults} of {len(pairs)} otherwise than people", flush=True)
    tables = "\n\n".join(
        (counts_table(pairs, verdicts), category_table(pairs, verdicts), example_table(pairs, verdicts))
    )
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def counts_table(pairs: list[Pair], verdicts: dict[str, list[str]]) -> str:
    """Return how often each side errs, by kind of error."""
    kinds = (
        ("a wrong answer is paid", lambda pair, found: pair.verdict == "wrong" and found == "right"),
        ("a right answer is not paid", lambda pair, found: pair.verdict == "right" and found == "wrong"),
        (
            "a reference that cannot be graded is graded",
            lambda pair, found: pair.verdict == "not_gradable" != found,
        ),
        (
            "a good reference is refused",
            lambda pair, found: pair.verdict != "not_gradable" and found == "not_gradable",
        ),
        ("an exception, or no verdict in time", lambda _, found: found.startswith(("error", "no verdict"))),
    )
    lines = [f"| of {len(pairs)} pairs | {' | '.join(verdicts)} |", "|---|" + "---|" * len(verdicts)]
    for title, holds in kinds:
        counts = [sum(map(holds, pairs, found)) for found in verdicts.values()]
        lines.append(f"| {title} | {' | '.join(map(str, counts))} |")
    totals = [
        sum(pair.verdict != verdict for pair, verdict in zip(pairs, found, strict=True))
        for found in verdicts.values()
    ]
    return "\n".join(
        [*lines, f"| **otherwise than people** | {' | '.join(f'**{total}**' for total in totals)} |"]
    )


def category_table(pairs: list[Pair], verdicts: dict[str, list[str]]) -> str:
    """Return how many pairs of each category each side judges otherwise than people."""
    sizes = Counter(pair.category for pair in pairs)
    lines = [f"| category | pairs | {' | '.join(verdicts)} |", "|---|---|" + "---|" * len(verdicts)]
    for category, size in sizes.items():
        counts = [
            sum(
                p.category == category and p.verdict != verdict
                for p, verdict in zip(pairs, found, strict=True)
            )
            for found in verdicts.values()
        ]
        lines.append(f"| {category} | {size} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def example_table(pairs: list[Pair], verdicts: dict[str, list[str]]) -> str:
    """Return pairs of each category on which a side errs, those that are paid for a wrong answer first."""
    lines = [
        "| reference | answer | people | " + " | ".join(verdicts) + " |",
        "|---|---|---|" + "---|" * len(verdicts),
    ]
    rows = [row for row in zip(pairs, *verdicts.values(), strict=True) if {*row[1:]} != {row[0].verdict}]
    order = list(dict.fromkeys(pair.category for pair in pairs))
    rows.sort(key=lambda row: (order.index(row[0].category), row[0].verdict != "wrong"))
    num_shown: Counter[str] = Counter()
    for pair, *found in rows:
        num_shown[pair.category] += 1
        if num_shown[pair.category] > MAX_EXAMPLES:
            continue
        cells = [_code(pair.reference), _code(pair.answer if pair.answer is not None else pair.completion)]
        marks = [verdict if verdict == pair.verdict else f"**{verdict}**" for verdict in found]
        lines.append(f"| {' | '.join([*cells, pair.verdict, *marks])} |")
    return "\n".join(lines)


def _code(text: str) -> str:
    """Return a text as code in a table cell, shortened."""
    text = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    text = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
    return f"`{text}`" if text else "(empty)"


if __name__ == "__main__":
    main()
