import random

import pytest

from dunwu.data.decontamination import EvaluationItem, LeakIndex

WORDS = [f"{a}{b}" for a in ("al", "be", "ga", "de", "ep") for b in ("pha", "ta", "mma", "lta", "silon")]


def sentence(seed, length=30):
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def item(number, **changes):
    facts = {
        "set_name": "bench",
        "id": f"q{number}",
        "question": sentence(number),
        "solution": sentence(1000 + number),
    }
    return EvaluationItem(**{**facts, **changes})


@pytest.fixture(scope="module")
def index():
    return LeakIndex([item(number) for number in range(60)], 10, 10)


def span(text, start, length):
    return " ".join(text.split()[start : start + length])


@pytest.mark.parametrize("start", [0, 7, 20])
@pytest.mark.parametrize("part", ["question", "solution"])
def test_ten_words_in_a_row_are_a_leak_and_nine_are_none(index, part, start):
    source = getattr(index.items[17], part)
    for place in (lambda text: index.find([text]), lambda text: index.find(["?"], ["", text])):
        leak = place(f"now {span(source, start, 10)} then")
        assert (leak.item.id, leak.shared) == ("q17", span(source, start, 10))
        assert place(f"now {span(source, start, 9)} then") is None


def test_other_texts_are_none(index):
    assert index.find([sentence(5000 + number, 200) for number in range(20)]) is None
    assert index.find([], []) is None
    assert index.find(["", "?"], [""]) is None


def test_spelling_does_not_hide_a_leak(index):
    words = span(index.items[3].question, 5, 10).upper().replace(" ", ",\n")
    assert index.find([f"<<{words}>>"]).item.id == "q3"


def test_a_hash_that_two_runs_of_words_share_is_no_leak(monkeypatch):
    import numpy as np

    monkeypatch.setattr(LeakIndex, "_windows", lambda self, ids: np.zeros(max(0, len(ids) - 9), np.uint64))
    index = LeakIndex([item(1)], 10, 10)
    assert index.find([sentence(77)]) is None


def test_short_questions_are_compared_as_a_whole_with_texts_and_their_lines():
    index = LeakIndex([item(1, question="What is 3 + 4?", solution="7")], 10, 10)
    assert index.find(["what is 3+4"]).shared == "What is 3 + 4?"
    assert index.find(["Think first.\n\nWhat is 3+4?\n"]).item.id == "q1"
    assert index.find(["What is 3 + 4 + 5?"]) is None
    assert (
        index.find(["7"], ["7", "What is 3 + 4?"]) is None
    )  # a short solution, and a question that is not asked


def test_generated_problems_are_compared_as_a_whole_only():
    index = LeakIndex([item(1, whole_only=True)], 10, 10)
    question = index.items[0].question
    assert index.find([question]).item.id == "q1"
    assert index.find([question + " " + WORDS[0]]) is None
    assert index.find(["?"], [index.items[0].solution]) is None


def test_common_text_of_a_set_counts_for_nothing_and_the_rest_of_it_does():
    instruction = sentence(99, 25)
    items = [item(number, question=f"{instruction} {sentence(number, 20)}") for number in range(200)]
    index = LeakIndex(items, 10, 10)
    assert index.find([f"{instruction} {sentence(3000, 20)}"]) is None
    assert index.find([f"{instruction} {sentence(150, 20)}"]).item.id == "q150"
    assert index.find([span(sentence(150, 20), 4, 10)]).item.id == "q150"
    assert index.find([f"{instruction} {sentence(150, 4)}"]) is None  # more than half is the instruction
    assert index.find([f"{instruction} {sentence(150, 5)}"]).item.id == "q150"


def test_problems_of_one_mould_with_other_numbers_are_no_leaks():
    mould = "Ann buys {} pens and {} books. A pen costs {} coins and a book {} coins. How much does she pay in all?"
    rng = random.Random(1)
    numbers = [rng.sample(range(2, 90), 4) for _ in range(300)]
    index = LeakIndex([item(n, question=mould.format(*numbers[n]), solution="") for n in range(100)], 10, 10)
    assert [n for n in range(100, 300) if index.find([mould.format(*numbers[n])])] == []
    assert index.find([mould.format(*numbers[42]).upper()]).item.id == "q42"


@pytest.mark.parametrize(("sharing", "found"), [(1, True), (10, True), (11, False)])
def test_what_at_most_ten_items_share_is_no_common_text(sharing, found):
    shared = sentence(9999, 10)
    items = [item(n, question=f"{sentence(n, 12)} {shared if n < sharing else ''}") for n in range(200)]
    leak = LeakIndex(items, 10, 10).find([shared])
    assert (leak is not None) is found


@pytest.mark.parametrize(("sharing", "found"), [(3, True), (4, False)])
def test_of_a_small_set_a_tenth_is_enough(sharing, found):
    shared = sentence(9999, 10)
    items = [item(n, question=f"{sentence(n, 12)} {shared if n < sharing else ''}") for n in range(30)]
    assert (LeakIndex(items, 10, 10).find([shared]) is not None) is found


def test_text_that_is_common_in_one_set_still_counts_in_another():
    shared = sentence(9999, 10)
    many = [item(n, set_name="many", question=f"{sentence(n, 12)} {shared}") for n in range(50)]
    index = LeakIndex([*many, item(777, question=f"{sentence(777, 12)} {shared}", set_name="one")], 10, 10)
    assert index.find([shared]).item.set_name == "one"


def test_an_n_gram_that_an_item_repeats_is_counted_once():
    shared = sentence(9999, 10)
    items = [item(n) for n in range(10)] + [item(50, question=" / ".join([shared] * 5))]
    assert LeakIndex(items, 10, 10).find([shared]).item.id == "q50"


def test_a_question_that_is_all_common_text_is_still_known_as_a_whole():
    items = [item(n, question=sentence(99, 12) + f" {n}") for n in range(100)]
    index = LeakIndex(items, 10, 10)
    assert index.find([sentence(99, 12) + " 7"]).item.id == "q7"
    assert index.find([sentence(99, 12) + " 700"]) is None


def test_no_items_no_leaks():
    assert LeakIndex([], 10, 10).find([sentence(1)]) is None


def test_characters_are_the_words_of_chinese():
    index = LeakIndex(
        [item(1, question="一个农场里有鸡和兔子共三十五只，脚一共九十四只，问鸡有几只？")], 10, 10
    )
    assert index.find(["已知农场里有鸡和兔子共三十五只。"]).shared == "农 场 里 有 鸡 和 兔 子 共 三"
    assert index.find(["有鸡和兔子共三十五"]) is None
