"""The maths grader on pairs that people would judge at sight, and on answers written to break it."""

import time
from collections.abc import Callable

import pytest

from dunwu.records import Problem, Reward
from dunwu.rewards.bounded import MAX_ANSWER_CHARS
from dunwu.rewards.grading import Grader
from dunwu.rewards.maths import canonical_answer, reference_text

# reference | answer
RIGHT = r"""
5 | 5
5 | 5.
5 | 05
5 | 5.0
5 | +5
5 | $5$
5 | \boxed{5}
5 | \(5\)
5 | **5**
5 | The answer is 5.
5 | x = 5
x=5 | 5
x_1=5 | 5
-3 | −3
-3 | $-3$
1234 | 1,234
1,234 | 1234
1234567 | 1\,234\,567
12345 | １２３４５
42 | 答案是42。
42 | 答案：42
42 | 最终答案为 42
3.5 | 7/2
3.5 | 3½
0.5 | \frac{1}{2}
0.5 | \frac12
\frac{1}{2} | \dfrac{1}{2}
\frac{1}{2} | 1/2
\frac{1}{2} | 50\%
\frac{1}{3} | 0.333333
-\frac{3}{4} | -0.75
-\frac{3}{4} | \frac{-3}{4}
\frac{11}{2} | 5\frac{1}{2}
\frac{11}{2} | 5 1/2
\frac{6}{8} | \frac{3}{4}
5 1/2 | \sqrt{30.25}
50\% | 50%
50\% | 0.5
50\% | 50
50\% | 50 percent
12.5\% | 12.5
1.6 \times 10^{-19} | 1.6e-19
6.02\times10^{23} | 6.02 × 10^23
5 cm | 5
5 cm | 5\text{ cm}
5 \text{ cm} | 5厘米
5厘米 | 5 centimeters
5厘米 | \sqrt{25}
12 \text{ cm}^2 | 12 cm^2
12 \text{ cm}^2 | 12平方厘米
30 km/h | 30
30 km/h | 30千米/时
\$18 | 18
\$18 | $18
18 | \$18.00
90^\circ | 90°
90^\circ | 90
90 | 90 degrees
3 apples | 3
3 | 3 apples
7个 | 7
100元 | 100
\{1,2\} | \{2, 1\}
\{1,2\} | {1,2}
1,2 | 2,1
1, 2 | 1和2
1, 2 | 1、2
1, 2 | $1$ and $2$
x=1,x=2 | x=2 或 x=1
x=1 \text{ or } x=2 | x=2, x=1
1 \pm \sqrt{2} | 1+\sqrt{2}, 1-\sqrt{2}
(1,2) | (1, 2)
(1,2) | （1，2）
(1,2) | \left(1,2\right)
(3,-1,2) | (3, -1, 2)
[1,2) | [1, 2)
(1,2) | 1<x<2
[1,2) | 1 \le x < 2
[1,2) | 1≤x<2
(-\infty,2) | x<2
(-\infty,2) | (-∞, 2)
(-\infty,2)\cup(3,\infty) | (-∞,2)∪(3,+∞)
x \ge 3 | x≥3
x \ge 3 | 3 \le x
x<3 | 3>x
x^2+2x+1 | (x+1)^2
x^2+2x+1 | x²+2x+1
x^2+2x+1 | x^2 + 2*x + 1
x**2 | x^2
2x+1 | 1+2x
2x+1 | y=2x+1
y=2x+1 | y = 1 + 2x
\frac{x}{2} | x/2
\frac{x}{2} | 0.5x
\sqrt{2} | √2
\sqrt{2} | sqrt(2)
\sqrt{2} | 2^{1/2}
\sqrt{8} | 2\sqrt{2}
\frac{\sqrt{3}}{3} | \frac{1}{\sqrt{3}}
\pi | π
2\pi | 2*pi
2\pi | 6.283185307
\frac{\pi}{6} | π/6
e^2 | e^{2}
\log_2 8 | 3
2^{10} | 1024
1024 | 2^{10}
3! | 6
\binom{5}{2} | 10
120 | 5!
\sin x | sin(x)
2+3i | 3i+2
\begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{bmatrix}1&2\\3&4\end{bmatrix}
\emptyset | ∅
\infty | ∞
\text{Monday} | Monday
Monday | monday
\text{no solution} | No solution
星期一 | 星期一。
A | \text{A}
A | (A)
B | \textbf{(B)}
10^{100} | 10^{100}
a+b | b+a
ab | ba
\frac{n(n+1)}{2} | \frac{n^2+n}{2}
3 + 4 = 7 #### 7 | 7
We get \boxed{\frac{2}{3}}. | 2/3
The total is 12 | 12
"""
WRONG = r"""
5 | 6
5 | -5
5 | 5.1
5 | 55
5 | 4, 5
5 | 4 or 5
5 | 5 or 6
5 | it is 4, perhaps 5, perhaps 6
5 | five apples
5 | 2x
5 | x
5 | \infty
5 | 1/0
5 | 5=6
5 | \frac{
1234 | 1.234
1234 | 12 34
46 | 12 34
25.5 | 5 1/2
\frac{1}{2} | \frac{1}{3}
\frac{1}{2} | 0.51
\frac{1}{2} | 2
\frac{1}{3} | 0.33
\frac{1}{3} | 0.3334
3.14 | 3.1416
\pi | 3.14
50\% | 0.05
50\% | 5
0.5 | 50
1.6 \times 10^{-19} | 0.0
1.6 \times 10^{-19} | 1.6 \times 10^{-18}
\sqrt{2} \times 10^{-19} | 0.0
10^{-20} | 0
10^{100} | 10^{100}+1
5 cm | 5 km
5 \text{ cm} | 5米
12 cm^2 | 12 cm^3
30 km/h | 30 m/s
50% | 50 cm
90^\circ | 45^\circ
\$18 | €18
\{1,2\} | \{1,3\}
\{1,2\} | \{1\}
\{1,2\} | \{1,2,3\}
1,2 | 1
2 | 1,2
(1,2) | (2,1)
(1,2) | [1,2]
[1,2) | [1,2]
(1,2,3) | (3,2,1)
(-\infty,2) | x \le 2
(-\infty,2) | x>2
x \ge 3 | x > 3
x=5 | y=5
x=5 | x=6
x^2+2x+1 | x^2+2x-1
2x+1 | 2y+1
y=2x+1 | y=2x
\sqrt{2} | 1.41
\sqrt{2} | -\sqrt{2}
2\pi | \pi
e^2 | e^3
2+3i | 3+2i
\begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{pmatrix}1&2\\4&3\end{pmatrix}
\emptyset | 0
Monday | Tuesday
Monday | Mondya
even | neve
星期一 | 星期二
A | B
A | ABCD
ab | a+b
\text{no solution} | 0
0 | no solution
x+1 | 1
\frac{a}{b} | \frac{b}{a}
7 | 3+4=8
"""
UNGRADABLE = [
    "",
    "  ",
    r"\frac{",
    "}{",
    "1/0",
    "see the figure above for 3 reasons and 4 cases",
    "a proof by induction.",
]
HOSTILE = [
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "{" * 1000 + "1" + "}" * 1000,
    "(" * 1000 + "1" + ")" * 1000,
    "9" * 9000 + "+1",
    "1" * 100_000,
    "x+" * 4000 + "1",
    r"\sqrt{" * 200,
    r"\prod_{i=1}^{100000000} i",
    "$" * 5000,
]


def pairs(table: str) -> list[tuple[str, str]]:
    return [
        (a.strip(), b.strip()) for a, _, b in (line.partition(" | ") for line in table.strip().splitlines())
    ]


def grade(grader: Grader, problem: Problem, answer: str) -> Reward:
    return grader.grade(problem, f"<think>t</think><answer>{answer}</answer>")


def test_the_corpus_is_large_and_has_no_line_twice() -> None:
    rows = pairs(RIGHT) + pairs(WRONG)
    assert len(rows) >= 200
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(("reference", "answer"), pairs(RIGHT))
def test_right_answers(grader: Grader, problem: Callable[..., Problem], reference: str, answer: str) -> None:
    assert grade(grader, problem(reference), answer).parts["accuracy"].value == 1.0


@pytest.mark.parametrize(("reference", "answer"), pairs(WRONG))
def test_wrong_answers(grader: Grader, problem: Callable[..., Problem], reference: str, answer: str) -> None:
    part = grade(grader, problem(reference), answer).parts["accuracy"]
    assert (part.value, part.status) == (0.0, "ok")


@pytest.mark.parametrize("reference", UNGRADABLE)
@pytest.mark.parametrize("answer", ["5", r"\frac{", "1/0", "a proof by induction."])
def test_bad_reference_is_never_rewarded(
    grader: Grader, problem: Callable[..., Problem], reference: str, answer: str
) -> None:
    reward = grade(grader, problem(reference), answer)
    part = reward.parts["accuracy"]
    assert (part.value, part.status, reward.total) == (None, "not_gradable", None)
    assert part.detail


def test_hostile_answers_are_wrong_and_end_within_their_limit(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    start = time.monotonic()
    items = [(problem("8"), f"<answer>{answer}</answer>", "stop") for answer in HOSTILE]
    parts = [reward.parts["accuracy"] for reward in strict_grader.grade_all(items)]
    assert [(part.value, part.status) for part in parts] == [(0.0, "ok")] * len(HOSTILE)
    assert time.monotonic() - start < 10 * len(HOSTILE)  # 0.3 s of processor time and a new process for each


def test_time_limit_and_length_limit_are_named(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    detail = grade(strict_grader, problem("8"), "9^{9^{9^{9}}}").parts["accuracy"].detail
    assert "more than 0.3 s of processor time" in detail
    grader = strict_grader
    detail = grade(grader, problem("8"), "1" * (MAX_ANSWER_CHARS + 1)).parts["accuracy"].detail
    assert f"{MAX_ANSWER_CHARS + 1} characters" in detail


def test_a_repeated_hostile_answer_costs_nothing(
    strict_grader: Grader, problem: Callable[..., Problem]
) -> None:
    grade(strict_grader, problem("8"), "9^{9^{9^{9}}}")
    start = time.monotonic()
    for _ in range(20):
        grade(strict_grader, problem("8"), "9^{9^{9^{9}}}")
    assert time.monotonic() - start < 0.5


def test_hostile_reference_is_not_gradable(strict_grader: Grader, problem: Callable[..., Problem]) -> None:
    part = grade(strict_grader, problem("(" * 500 + "x+1" + ")" * 500), "x+1").parts["accuracy"]
    assert part.status == "not_gradable"
    assert "more than 0.3 s of processor time" in part.detail


def test_reference_text_of_worked_solutions() -> None:
    assert reference_text("3+4=7\n#### 7") == "7"
    assert reference_text(r"so \boxed{\frac{1}{2}} holds") == r"\frac{1}{2}"
    assert reference_text(" 5 ") == "5"


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        (["0.5", "1/2", r"\frac{1}{2}", r"$\dfrac12$", "x = 0.5"], "1/2"),
        (["5 cm", "5", "5.0", "５"], "5"),
        (["Monday", r"\text{monday}"], "monday"),
        (["x + 1", "x+1", "$x+1$"], "x+1"),
    ],
)
def test_votes_count_spellings_of_one_answer_together(answers: list[str], key: str) -> None:
    assert {canonical_answer(answer) for answer in answers} == {key}
