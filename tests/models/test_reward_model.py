"""A reward model is a plain Hugging Face sequence classifier whose packed scores are transformers' own."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig

from dunwu.config.training import ModelConfig
from dunwu.errors import ConfigError, DataError, ModelError
from dunwu.models import reward_model as module
from dunwu.models.reward_model import (
    conversation_ids,
    load_reward_model,
    make_reward_model,
    question_ids,
    response_ids,
    save_reward_model,
)

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)


@pytest.fixture
def make(tiny_policy):
    def made(family="llama", *, seed=1, dtype=torch.float32, judges="summary"):
        return make_reward_model(tiny_policy(family, dtype=dtype), judges=judges, seed=seed)

    return made


def padded_scores(folder, conversations, dtype=torch.float32):
    """What transformers alone makes of conversations, padded on the right."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    padding = AutoTokenizer.from_pretrained(folder).pad_token_id
    longest = max(map(len, conversations))
    ids = torch.tensor([[*c, *[padding] * (longest - len(c))] for c in conversations])
    mask = torch.tensor([[1] * len(c) + [0] * (longest - len(c)) for c in conversations])
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits[:, 0].float()


@pytest.mark.parametrize(
    "kind", ["llama", "smollm2", "llama31", "qwen2", "qwen3", "gemma3", "gemma2", "deepseek_v3"]
)
def test_transformers_gives_the_same_scores(kind, make, tmp_path, random_ids):
    """After saving, loading there, and padding a batch; and our own loading."""
    reward_model = make(kind)
    conversations = [(*random_ids(n, seed=n), 257) for n in (3, 17, 9, 30)]
    ours = reward_model.scores(conversations, 32)
    assert len(set(ours)) == 4
    save_reward_model(reward_model, tmp_path)
    assert ours == pytest.approx(padded_scores(tmp_path, conversations).tolist(), abs=2e-5)
    loaded = load_reward_model(ModelConfig(path=str(tmp_path))).scores(conversations, 32)
    assert loaded == pytest.approx(ours, abs=1e-6)


def test_bfloat16_agrees_up_to_its_rounding(make, tmp_path, random_ids):
    reward_model = make("qwen2", dtype=torch.bfloat16)
    conversations = [random_ids(n, seed=n) for n in (5, 12)]
    save_reward_model(reward_model, tmp_path)
    theirs = padded_scores(tmp_path, conversations, torch.bfloat16)
    assert reward_model.scores(conversations, 64) == pytest.approx(theirs.tolist(), abs=0.1)


def test_packing_changes_no_score(make, random_ids):
    reward_model = make()
    conversations = [random_ids(n, seed=n) for n in (4, 40, 7, 1, 22)]
    alone = [reward_model.scores([ids], 64)[0] for ids in conversations]
    for limit in (1, 8, 50, 500):  # a limit below a conversation's length gives it a row of its own
        assert reward_model.scores(conversations, limit) == pytest.approx(alone, abs=2e-5)
    assert reward_model.scores([], 8) == []


def test_a_conversation_without_tokens_is_an_error(make):
    with pytest.raises(DataError, match="conversation 1 has no tokens"):
        make().scores([[1], []], 8)


def test_padding_at_the_end_is_passed_over_as_in_transformers(make, tmp_path):
    reward_model = make()
    padding = reward_model.tokenizer.pad_token_id
    assert reward_model.last_place([1, 2, padding, 3, padding, padding]) == 3
    assert reward_model.last_place([padding]) == 0
    short, longer = reward_model.scores([[1, 2, 3], [1, 2, 3, padding]], 64)
    assert short == pytest.approx(longer, abs=2e-5)
    reward_model.model.config.pad_token_id = None
    assert reward_model.last_place([1, padding]) == 1


def test_the_head_follows_from_the_seed_and_leaves_the_body(make, tiny_policy):
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    weights = [model.model.score.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert float(first.model.score.weight.detach().std()) == pytest.approx((1 / 33) ** 0.5, rel=0.5)
    body = tiny_policy("llama").model.base_model.state_dict()
    assert all(torch.equal(value, body[name]) for name, value in first.model.base_model.state_dict().items())


def test_what_it_judges_and_how_its_scores_are_spread_stand_in_the_folder(make, tmp_path):
    reward_model = make(judges="response")
    assert reward_model.score_mean is None
    reward_model.note_scores(0.25, 1.5)
    save_reward_model(reward_model, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["architectures"] == ["LlamaForSequenceClassification"]
    assert (settings["dunwu_score_mean"], settings["dunwu_score_std"]) == (0.25, 1.5)
    assert settings["dunwu_judges"] == "response"
    loaded = load_reward_model(ModelConfig(path=str(tmp_path)), device="cpu")
    assert (loaded.judges, loaded.score_mean, loaded.score_std) == ("response", 0.25, 1.5)


def test_a_conversation_is_question_response_and_end(tiny_tokenizer):
    ids = conversation_ids(tiny_tokenizer, "2+2?", "4")
    assert tiny_tokenizer.decode(ids) == "User: 2+2?\n\nAssistant:\n4<eos>"
    assert ids == question_ids(tiny_tokenizer, "2+2?") + response_ids(tiny_tokenizer, "4")


def test_a_chat_template_frames_the_question_and_cannot_touch_the_response(tiny_tokenizer):
    tiny_tokenizer.chat_template = CHAT  # it would drop thinking, and opens it
    ids = conversation_ids(tiny_tokenizer, "hi", "<think>why</think>hello")
    assert tiny_tokenizer.decode(ids) == "<|user|>hi\n<|assistant|><think>why</think>hello<eos>"


def test_where_the_end_of_a_text_is_padding_it_is_left_out(tiny_tokenizer):
    tiny_tokenizer.pad_token = "<eos>"
    assert response_ids(tiny_tokenizer, "a")[-1] == tiny_tokenizer.eos_token_id  # <bos> can stand for padding
    tiny_tokenizer.bos_token = None
    assert tiny_tokenizer.decode(response_ids(tiny_tokenizer, "a")) == "a"


def test_an_end_that_the_tokenizer_adds_to_the_question_is_taken_off(tiny_tokenizer, monkeypatch):
    original = type(tiny_tokenizer).__call__

    def with_end(self, text, **options):
        encoded = original(self, text, **options)
        if options.get("add_special_tokens", True):
            encoded["input_ids"] = [self.bos_token_id, *encoded["input_ids"], self.eos_token_id]
        return encoded

    monkeypatch.setattr(type(tiny_tokenizer), "__call__", with_end)
    assert tiny_tokenizer.decode(question_ids(tiny_tokenizer, "a")) == "<bos>User: a\n\nAssistant:\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('no') }}", "refuses the question 'hi'"),
        ("fixed", "drops or changes the question"),
    ],
)
def test_a_chat_template_that_does_not_serve_is_told(tiny_tokenizer, template, said):
    tiny_tokenizer.chat_template = template
    with pytest.raises(ConfigError, match=said):
        question_ids(tiny_tokenizer, "hi")


def test_what_is_no_reward_model_is_told(make, tiny_policy, tmp_path):
    policy = tiny_policy("llama")
    policy.model.save_pretrained(tmp_path / "lm")
    policy.tokenizer.save_pretrained(tmp_path / "lm")
    with pytest.raises(ModelError, match="has 2 labels, and a reward model has one"):
        load_reward_model(ModelConfig(path=str(tmp_path / "lm")))
    settings = json.loads((tmp_path / "lm" / "config.json").read_text())
    settings |= {"num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    (tmp_path / "lm" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"lacks 1 of a reward model's weights \(score.weight"):
        load_reward_model(ModelConfig(path=str(tmp_path / "lm")))
    with pytest.raises(ModelError, match="does not exist"):
        load_reward_model(ModelConfig(path=str(tmp_path / "nothing")))


def test_an_architecture_without_a_classifier_is_told(make):
    with pytest.raises(ModelError, match="no sequence classifier for granite models"):
        make("granite")


def test_a_classifier_that_is_not_known_is_told(tiny_policy, monkeypatch):
    def strange(config):
        model = AutoModelForSequenceClassification.from_config(config)
        del model.score
        return model

    monkeypatch.setattr(module, "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING", {LlamaConfig: strange})
    with pytest.raises(ModelError, match="no linear layer `score`"):
        make_reward_model(tiny_policy("llama"), judges="summary", seed=0)


def test_scores_that_differ_from_transformers_are_refused(make, monkeypatch):
    right = module.RewardModel.scores
    monkeypatch.setattr(
        module.RewardModel,
        "scores",
        lambda self, ids, limit: [score + 1 for score in right(self, ids, limit)],
    )
    with pytest.raises(ModelError, match="gives other scores in transformers"):
        make()


def test_a_token_that_stands_for_padding_is_trained_all_the_same(make, tmp_path):
    """Or a run that goes on from a folder would differ from one that never stopped."""
    reward_model = make("llama")
    save_reward_model(reward_model, tmp_path)
    for model in (reward_model, load_reward_model(ModelConfig(path=str(tmp_path)))):
        assert model.model.get_input_embeddings().padding_idx is None
    assert AutoConfig.from_pretrained(tmp_path).pad_token_id == 258
