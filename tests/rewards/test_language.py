"""Worked examples of the language-consistency reward: words in the target language over all words."""

import threading
from fractions import Fraction

import pytest

from dunwu.config.shaping import LanguageReward
from dunwu.errors import ConfigError
from dunwu.records import Problem
from dunwu.rewards.item import GradingItem
from dunwu.rewards.language import language_part, require_languages

BY_SCRIPT = ("en", "zh")
WITH_FRENCH = ("en", "zh", "fr")
FIVE = ("en", "zh", "fr", "de", "es")


def part(reasoning: str | None, target: str, languages: tuple[str, ...] = BY_SCRIPT, question: str = "?"):
    item = GradingItem(Problem("p", "k", question, "5", "math", target), "", reasoning=reasoning)
    return language_part(item, LanguageReward(languages=languages))


# reasoning, target, words in the target language, all words
EXAMPLES = [
    # one language
    ("First we add the numbers and get seven.", "en", 8, 8),
    ("首先把两个数相加得到七。", "zh", 11, 11),
    ("首先把两个数相加得到七。", "en", 0, 11),
    ("First we add the numbers and get seven.", "zh", 0, 8),
    # English and Chinese mixed: a Chinese character is one word
    ("we add 两个数 together", "en", 3, 6),
    ("we add 两个数 together", "zh", 3, 6),
    ("让我想想, wait, 再检查一遍。", "zh", 9, 10),
    ("让我想想。Wait，再检查一遍。", "zh", 9, 10),
    ("so the answer is 五", "en", 4, 5),
    ("所以答案是 five", "zh", 5, 6),
    ("The area is 面积 of the triangle 三角形.", "en", 6, 11),
    # numbers, formulas and signs are no words
    ("3 + 4 = 7, so seven", "en", 2, 2),
    ("由 $x^2 + y^2 = r^2$ 得 $y = \\sqrt{r^2 - x^2}$。", "zh", 2, 2),
    ("因为 \\(a \\mid b\\) 且 \\[b = kc\\] 所以", "zh", 5, 5),
    ("\\begin{align}x &= 1\\\\ y &= 2\\end{align} 解得", "zh", 2, 2),
    ("已知 \\triangle ABC 中 AB = AC", "zh", 3, 3),
    ("let n be even, then n = 2k", "en", 4, 4),
    ("设 x 与 y 为整数, p 是素数", "zh", 8, 8),
    ("函数 f(x) = sin x + ln x 的 max", "zh", 3, 3),
    ("车速是 60 km/h, 重 5 kg", "zh", 4, 4),
    ("it is worth $5 or $10 today", "en", 5, 5),
    # words do not hide in formulas, code and quotes
    ("$x = \\text{苹果的数量}$ so", "en", 1, 6),
    ("$这里其实是一段中文$ so", "en", 1, 10),
    ("得到 $\\text{the total cost}$", "zh", 2, 5),
    ("得到 `let me think again`", "zh", 2, 6),
    # code, identifiers, links
    ("写一个函数：\n```python\ndef add(a, b):\n    return a + b  # the sum\n```\n即可", "zh", 7, 7),
    ("调用 `numpy.sum(x)` 求和", "zh", 4, 4),
    ("变量 max_value 和 numTokens 以及 x1", "zh", 5, 5),
    ("参见 https://example.org/some/page 的说明", "zh", 5, 5),
    ("print(result) 输出结果", "zh", 4, 4),
    # names, acronyms, titles, glosses
    ("由柯西，也就是 Cauchy，可知", "zh", 8, 8),
    ("Newton Raphson 方法收敛", "zh", 4, 4),
    ("用 AM-GM 与 RSA 证明", "zh", 4, 4),
    ("判别式（discriminant）小于零", "zh", 6, 6),
    ("the rule of Zhang Heng (张衡) holds", "en", 4, 4),
    ("as the old《九章算术》says", "en", 4, 4),
    ("Cauchy 不等式告诉我们", "zh", 7, 8),  # the first word of a sentence is never a name
    ("WAIT LET ME THINK 再想想", "zh", 3, 7),
    # scripts of neither language
    ("we see Привет мир here", "en", 3, 4),  # Привет is a name by its capital
    ("we see привет мир here", "en", 3, 5),
    ("我们看 문제를 풀자 吧", "zh", 4, 6),
    ("设 α 与 β 为角", "zh", 4, 4),
    # pinyin is written in Latin letters, so it is not Chinese
    ("wo men xian ba ta men xiang jia", "zh", 0, 8),
    ("我们 xian 相加", "zh", 4, 5),
    # Japanese: Chinese characters beside kana are Japanese
    ("まず方程式を解く。", "zh", 0, 8),
    ("解方程，得五。まず解く。", "zh", 5, 9),
    # spelling
    ("ＴＨＥＮ we go on", "en", 3, 3),
    ("I don't re-check it", "en", 3, 3),
    ("# Step\n- **so** we go", "en", 4, 4),
]


@pytest.mark.parametrize(("reasoning", "target", "num_target", "num_words"), EXAMPLES)
def test_english_and_chinese_by_script(reasoning: str, target: str, num_target: int, num_words: int) -> None:
    found = part(reasoning, target)
    assert found.status == "ok"
    assert found.value == float(Fraction(num_target, num_words)), found.detail
    assert (
        sum(int(piece.split()[0]) for piece in found.detail.removeprefix("words: ").split(", ")) == num_words
    )


@pytest.mark.parametrize(
    ("reasoning", "target", "languages", "num_target", "num_words"),
    [
        (
            "Nous savons que la somme des angles est égale à cent quatre-vingts degrés.",
            "fr",
            WITH_FRENCH,
            12,
            12,
        ),
        (
            "We know that the sum of all the angles is equal to one hundred and eighty.",
            "fr",
            WITH_FRENCH,
            0,
            16,
        ),
        (
            "Nous savons que la somme est égale. But let us check this again to be sure.",
            "fr",
            WITH_FRENCH,
            7,
            16,
        ),
        ("Wir wissen, dass die Summe der Winkel gleich sein muss. 所以答案是五。", "de", FIVE, 10, 16),
        (
            "Sabemos que la suma de los ángulos es igual. Así que el resultado es correcto.",
            "es",
            FIVE,
            15,
            15,
        ),
        ("Sabemos que la suma es igual, donc nous pouvons conclure que cela est vrai.", "es", FIVE, 6, 14),
        ("we use the old Satz here and go on with it", "en", ("en", "zh"), 9, 9),
        ("Мы знаем, что сумма углов равна ста восьмидесяти.", "ru", ("ru", "uk", "en"), 8, 8),
        ("Ми знаємо, що сума кутів дорівнює цьому числу.", "ru", ("ru", "uk", "en"), 0, 8),
        ("문제를 먼저 정리하자. so we go on", "ko", ("ko", "en"), 3, 7),
        ("方程式を解くと答えは五です。", "ja", ("ja", "en"), 13, 13),
        ("方程式を解くと答えは五です。", "ja", ("ja", "zh", "en"), 13, 13),
        ("เราจะบวกเลข so", "th", ("th", "en"), 11, 12),
        ("हम दोनों को जोड़ते हैं", "hi", ("hi", "en"), 5, 5),
    ],
)
def test_other_languages_by_script_and_by_their_words(
    reasoning: str, target: str, languages: tuple[str, ...], num_target: int, num_words: int
) -> None:
    found = part(reasoning, target, languages)
    assert found.value == pytest.approx(num_target / num_words, abs=1e-9), found.detail


@pytest.mark.parametrize(
    ("reasoning", "why"),
    [
        (None, "no chain of thought"),
        ("", "no words"),
        (" \n ", "no words"),
        ("3 + 4 = 7", "no words"),
        ("$x = 5$, \\(y = 6\\)", "no words"),
        ("```python\nprint(1)\n```", "no words"),
        ("x, y, z", "no words"),
        ("so Euler Gauss", None),
        ("🙂 … — ！", "no words"),
    ],
)
def test_without_words_the_reward_does_not_apply(reasoning: str | None, why: str | None) -> None:
    found = part(reasoning, "en")
    if why is None:
        assert (found.value, found.status) == (1.0, "ok")
    else:
        assert (found.value, found.status) == (None, "not_applicable")
        assert why in found.detail


def test_target_is_the_questions_language_unless_given() -> None:
    item = GradingItem(Problem("p", "k", "?", "5", "math", "zh"), "", reasoning="we add 两个")
    assert language_part(item, LanguageReward()).value == 0.5
    assert language_part(item, LanguageReward(target="en")).value == 0.5
    item = GradingItem(Problem("p", "k", "?", "5", "math", "zh"), "", reasoning="we add 三个数 up")
    assert language_part(item, LanguageReward()).value == 0.5
    item = GradingItem(Problem("p", "k", "?", "5", "math", "zh"), "", reasoning="we add it 数")
    assert language_part(item, LanguageReward()).value == 0.25
    assert language_part(item, LanguageReward(target="en")).value == 0.75


def test_words_of_another_language_that_the_question_holds_are_not_counted() -> None:
    question = "Translate 你好世界 into French, please: bonjour"
    assert part("the phrase 你好世界 means hello", "en", question=question).value == 1.0
    assert part("the word 你好 means hello", "en", question=question).value == 1.0
    assert part("the word 再见 means bye", "en", question=question).value == 4 / 6
    assert part("把 apples 相加", "zh", question="Alice 有 3 个 apples, 共有几个?").value == 1.0
    assert part("把 pears 相加", "zh", question="Alice 有 3 个 apples, 共有几个?").value == 0.75
    # words of the target language count, quoted or not
    assert part("the apples 再见", "en", question="the apples").value == 0.5


def test_german_nouns_are_words_where_german_is_in_question() -> None:
    text = "wir sehen die Summe und das Produkt, und the sum of all the parts is here"
    found = part(text, "de", ("en", "de"))
    assert found.detail == "words: 8 de, 8 en"


def test_an_unknown_language_of_a_question_is_a_named_fault() -> None:
    found = part("we add", "xx")
    assert (found.value, found.status) == (None, "not_gradable")
    assert "'xx' is not known" in found.detail


@pytest.mark.parametrize("config", [LanguageReward(target="qq"), LanguageReward(languages=("en", "qq"))])
def test_unknown_languages_of_a_recipe_are_refused(config: LanguageReward) -> None:
    with pytest.raises(ConfigError, match=r"'qq' is not known; there are ace, af, .*zh"):
        require_languages(config)


def test_the_same_from_many_threads() -> None:
    text = "Nous savons que la somme est égale. But let us check this again to be sure. 所以"
    alone = part(text, "fr", FIVE)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(part(text, "fr", FIVE))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 16
