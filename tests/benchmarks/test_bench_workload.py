"""The work that all sides do: counts, lengths, questions; the same whoever asks."""

import pytest
from benchmarks.workload import Cell, SftWorkload, StepWorkload, make_questions, text_reward


def test_workload_counts_and_questions() -> None:
    workload = StepWorkload("m", num_prompts=3, group_size=4, completion_tokens=5, num_steps=2)
    assert workload.num_sequences == 12
    assert workload.tokens_of_step(0) == workload.tokens_of_step(1) == 60
    questions = workload.questions()
    assert len(questions) == 6
    assert questions == StepWorkload("m", num_prompts=2, num_steps=3).questions()
    for question, answer in questions:
        words = question.split()
        assert int(words[2]) + int(words[4].rstrip("?")) == int(answer)


def test_the_published_questions_stay_the_same() -> None:
    assert StepWorkload("m").questions()[0] == ("What is 59 + 63? Think step by step.", "122")


def test_varied_lengths_differ_by_completion_and_step_but_not_by_side() -> None:
    workload = StepWorkload("m", num_prompts=4, group_size=8, completion_tokens=240, shortest_tokens=16)
    lengths = workload.lengths(0)
    flat = [length for of_prompt in lengths for length in of_prompt]
    assert [len(of_prompt) for of_prompt in lengths] == [8] * 4
    assert min(flat) >= 16
    assert max(flat) <= 240
    assert len(set(flat)) > 20
    assert workload.tokens_of_step(0) == sum(flat)
    again = StepWorkload("m", num_prompts=4, group_size=8, completion_tokens=240, shortest_tokens=16)
    assert again.lengths(0) == lengths
    assert again.lengths(1) != lengths


def test_prompts_vary_in_length_where_asked() -> None:
    questions = StepWorkload("m", most_sentences=6, num_steps=4).questions()
    sentences = {question.count("coins.") for question, _ in questions}
    assert sentences <= set(range(7))
    assert len(sentences) > 3
    assert all(question.endswith("Think step by step.") for question, _ in questions)


def test_a_fixed_number_of_sentences_is_kept() -> None:
    assert [question.count("coins.") for question, _ in make_questions(3, 0, range(5, 6))] == [5, 5, 5]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (Cell(8, 8, 4), "64 sequences, short prompts, sampled"),
        (Cell(1, 1, 4, sentences=40, temperature=0.0), "1 sequences, long prompts, greedy"),
    ],
)
def test_cells_are_named_by_what_they_measure(cell: Cell, name: str) -> None:
    assert cell.name == name
    assert cell.num_tokens == cell.num_sequences * 4
    assert len(cell.questions()) == cell.num_prompts


def test_every_round_asks_other_questions() -> None:
    assert set(Cell(8, 8, 4, seed=0).questions()).isdisjoint(Cell(8, 8, 4, seed=1).questions())


def test_fine_tuning_samples_fill_all_steps() -> None:
    workload = SftWorkload(
        "m", vocab_size=100, row_tokens=64, rows_per_step=2, num_steps=3, shortest_tokens=8
    )
    samples = workload.samples()
    lengths = [len(sample) for sample in samples]
    assert min(lengths) >= 8
    assert max(lengths) <= 64
    assert sum(lengths) >= 6 * 2 * 64
    assert {token for sample in samples for token in sample} <= set(range(16, 100))
    assert samples == workload.samples()


def test_text_reward_tells_lengths_apart() -> None:
    assert text_reward("abc") == 0.003
