"""Rows of preferences as tokens, packed, and one update on them: by hand where numbers can be, and the same however it is cut."""

import math
from types import SimpleNamespace

import pytest
import torch

from dunwu.config.output_form import PlainForm, ThinkForm
from dunwu.config.reward_model import RewardModelOptimizer
from dunwu.data.preferences import PreferenceRow
from dunwu.errors import DataError, NonFiniteError
from dunwu.models.reward_model import conversation_ids, make_reward_model
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.reward_model_step import evaluate_on_preferences, is_right, update_on_preferences
from dunwu.training.reward_samples import RewardSample, build_samples, pack_reward_samples


@pytest.fixture
def make(tiny_policy):
    return lambda family="llama": make_reward_model(tiny_policy(family), judges="summary", seed=1)


def config(**changes):
    return SimpleNamespace(
        **{"output_form": ThinkForm(opened_by_prompt=False), "max_tokens": 200, "too_long": "drop", **changes}
    )


def pair(question, chosen, rejected):
    return PreferenceRow("row", question, (chosen, rejected))


PAIRS = [
    pair("one?", "yes, one", "no"),
    pair("two?", "two it is", "I do not know"),
    pair("one?", "yes, one", "three"),
    pair("two?", "I do not know", "no"),
    pair("four, please", "4", "what a question"),
]
LABELS = [PreferenceRow("row", f"q{i % 3}", (f"answer {i}",), i % 2 == 0) for i in range(6)]


def test_thinking_is_cut_off_pairs_and_stays_in_labelled_responses(tiny_tokenizer):
    text = "<think>because</think> fine"
    (sample,) = build_samples([pair("q", text, "bad")], tiny_tokenizer, config()).samples
    assert sample.question_ids + sample.responses[0] == conversation_ids(tiny_tokenizer, "q", "fine")
    (sample,) = build_samples([PreferenceRow("r", "q", (text,), True)], tiny_tokenizer, config()).samples
    assert sample.question_ids + sample.responses[0] == conversation_ids(tiny_tokenizer, "q", text)
    (sample,) = build_samples(
        [pair("q", text, "bad")], tiny_tokenizer, config(output_form=PlainForm())
    ).samples
    assert sample.question_ids + sample.responses[0] == conversation_ids(tiny_tokenizer, "q", text)


def test_rows_that_cannot_be_used_are_left_out_and_counted(tiny_tokenizer):
    rows = [
        pair("q", "<think>never done", "bad"),
        pair("q", "<think>a</think>", "bad"),
        pair("q", "<think>a</think>same", "<think>b</think>same"),
        pair("q", "x" * 200, "bad"),
        pair("q", "good", "bad"),
    ]
    found = build_samples(rows, tiny_tokenizer, config())
    assert len(found.samples) == 1
    assert found.left_out == {"same_summary": 1, "too_long": 1, "without_summary": 2}
    with pytest.raises(
        DataError, match=r"none of 4 rows can be used \(2 without summary, 1 same summary, 1 too long\)"
    ):
        build_samples(rows[:4], tiny_tokenizer, config())
    with pytest.raises(DataError, match="row has a conversation of 221 tokens, and max_tokens is 200"):
        build_samples(rows[3:], tiny_tokenizer, config(too_long="error"))


def test_the_fingerprint_sees_every_token_label_and_the_order(tiny_tokenizer):
    def of(rows):
        return build_samples(rows, tiny_tokenizer, config()).fingerprint()

    swapped = PreferenceRow("row", LABELS[0].question, LABELS[0].responses, False)
    prints = [of(PAIRS), of(PAIRS[::-1]), of([*PAIRS[:4], pair("four, please", "5", "what a question")])]
    prints += [of(LABELS), of([swapped, *LABELS[1:]])]
    assert len(set(prints)) == 5
    assert of(PAIRS) == prints[0]


def test_packed_scores_are_those_of_each_conversation_alone(make):
    reward_model = make("qwen2")
    samples = build_samples(PAIRS, reward_model.tokenizer, config()).samples
    flat = [sample.question_ids + response for sample in samples for response in sample.responses]
    alone = reward_model.scores(flat, 64)
    expected = [(alone[2 * i], alone[2 * i + 1]) for i in range(len(samples))]
    for limit in (max(s.num_tokens for s in samples), 1000):
        found = {}
        for packed in pack_reward_samples(samples, limit, reward_model):
            assert len(packed.row.token_ids_T) <= limit
            scores = reward_model.row_scores(packed.row).tolist()
            found |= {
                i: [scores[place] for place in p] for i, p in zip(packed.members, packed.scores, strict=True)
            }
        assert sorted(found) == list(range(len(samples)))
        for index, values in enumerate(expected):
            assert found[index] == pytest.approx(values, abs=2e-5)


def test_a_question_and_a_repeated_response_are_computed_once(make):
    reward_model = make()
    samples = build_samples(PAIRS[:1] + PAIRS[2:3], reward_model.tokenizer, config()).samples
    (packed,) = pack_reward_samples(samples, 500, reward_model)
    assert packed.scores == ((0, 1), (0, 2))
    once = len(samples[0].question_ids) + sum(map(len, (*samples[0].responses, samples[1].responses[1])))
    assert len(packed.row.token_ids_T) == once


@pytest.mark.parametrize("rows", [PAIRS, LABELS], ids=["pairwise", "pointwise"])
def test_the_update_does_not_depend_on_how_the_batch_is_cut(make, rows):
    found = []
    for cut in (True, False):
        reward_model = make()
        optimizer = MasterAdamW(reward_model.model, RewardModelOptimizer(learning_rate=1e-2), 3)
        samples = build_samples(rows, reward_model.tokenizer, config()).samples
        limit = max(sample.num_tokens for sample in samples) if cut else 2000
        figures = update_on_preferences(reward_model, optimizer, samples, max_tokens=limit, step=1)
        weights = torch.cat([p.detach().flatten() for p in reward_model.model.parameters()])
        found.append((figures, weights))
    (many, some), (one, others) = found
    assert many["rows"] > one["rows"] == 1
    for key in ("loss", "accuracy", "grad_norm", "learning_rate"):
        assert many[key] == pytest.approx(one[key], rel=1e-4), key
    # Adam's first step is the sign of the gradient, so that weights with almost none may go either way
    assert ((some - others).abs() < 1e-4).float().mean() > 0.99


def test_the_figures_of_a_step_are_those_of_its_scores(make):
    reward_model = make()
    samples = build_samples(PAIRS, reward_model.tokenizer, config()).samples
    flat = reward_model.scores([s.question_ids + r for s in samples for r in s.responses], 500)
    margins = [flat[2 * i] - flat[2 * i + 1] for i in range(5)]
    optimizer = MasterAdamW(reward_model.model, RewardModelOptimizer(), 3)
    figures = update_on_preferences(reward_model, optimizer, samples, max_tokens=500, step=1)
    assert figures["loss"] == pytest.approx(sum(math.log(1 + math.exp(-m)) for m in margins) / 5, abs=1e-4)
    assert figures["accuracy"] == sum(m > 0 for m in margins) / 5
    assert figures["margin"] == pytest.approx(sum(margins) / 5, abs=1e-4)
    assert figures["samples"] == 5


def test_it_learns_what_is_better_and_what_is_safe(make):
    for rows in (PAIRS, LABELS):
        reward_model = make()
        samples = build_samples(rows, reward_model.tokenizer, config()).samples
        optimizer = MasterAdamW(reward_model.model, RewardModelOptimizer(learning_rate=3e-3), 30)
        losses = [
            update_on_preferences(reward_model, optimizer, samples, max_tokens=600, step=step)["loss"]
            for step in range(1, 31)
        ]
        assert losses[-1] < 0.2 * losses[0]
        figures = evaluate_on_preferences(reward_model, samples, 600)
        assert figures["accuracy"] == 1.0
        assert figures["loss"] < 0.2


def test_evaluation_counts_by_question_and_measures_the_spread(make):
    reward_model = make()
    samples = build_samples(PAIRS, reward_model.tokenizer, config()).samples
    flat = reward_model.scores([s.question_ids + r for s in samples for r in s.responses], 500)
    right = [flat[2 * i] > flat[2 * i + 1] for i in range(5)]
    calls = []
    figures = evaluate_on_preferences(
        reward_model, samples, 120, lambda done, total: calls.append((done, total))
    )
    by_question = [(right[0] + right[2]) / 2, (right[1] + right[3]) / 2, right[4]]
    assert figures["accuracy"] == pytest.approx(sum(by_question) / 3)
    low, high = figures["accuracy_interval"]
    assert low < figures["accuracy"] < high or figures["accuracy"] in (low, high)
    spread = torch.tensor(flat, dtype=torch.float64)
    assert figures["score_mean"] == pytest.approx(float(spread.mean()), abs=1e-5)
    assert figures["score_std"] == pytest.approx(float(spread.std(correction=0)), abs=1e-5)
    assert (figures["num_samples"], figures["num_questions"]) == (5, 3)
    assert calls[-1] == (5, 5)


def test_labelled_responses_are_told_apart(make):
    reward_model = make()
    samples = build_samples(LABELS[:1], reward_model.tokenizer, config()).samples
    figures = evaluate_on_preferences(reward_model, samples, 500)
    assert figures["safe_score"] == pytest.approx(figures["score_mean"])
    assert figures["safe_accuracy"] == float(figures["safe_score"] > 0)
    assert figures["unsafe_score"] is None
    assert figures["unsafe_accuracy"] is None


def test_equal_scores_are_not_right():
    one = RewardSample("r", "g", (1,), ((2,), (3,)))
    assert not is_right(one, (1.0, 1.0))
    assert is_right(one, (1.5, 1.0))
    for safe in (True, False):
        assert not is_right(RewardSample("r", "g", (1,), ((2,),), safe), (0.0,))
    assert is_right(RewardSample("r", "g", (1,), ((2,),), False), (-0.1,))


def test_a_loss_that_is_not_finite_stops_before_the_step(make):
    reward_model = make()
    samples = build_samples(PAIRS, reward_model.tokenizer, config()).samples
    optimizer = MasterAdamW(reward_model.model, RewardModelOptimizer(), 3)
    body = [p.detach().clone() for p in reward_model.model.base_model.parameters()]
    with torch.no_grad():
        reward_model.model.score.weight.fill_(float("nan"))
    with pytest.raises(
        NonFiniteError, match=r"the loss of step 1 is nan on the packed row that begins with row"
    ):
        update_on_preferences(reward_model, optimizer, samples, max_tokens=500, step=1)
    assert all(
        torch.equal(a, b) for a, b in zip(body, reward_model.model.base_model.parameters(), strict=True)
    )
