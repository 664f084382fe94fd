"""A local model that is asked the same question several times in one call draws each answer anew, and the same ones again."""

from dunwu.config.asking import AskedModel
from dunwu.rollout.asking import LocalAsker
from dunwu.rollout.embedded import EmbeddedEngine


def test_each_time_a_question_is_asked_in_a_call_has_a_draw_of_its_own(tiny_policy):
    policy = tiny_policy("llama")
    engine = EmbeddedEngine(policy)
    asker = LocalAsker(policy, engine, AskedModel(max_new_tokens=12, temperature=1.0), seed=3)
    twice = asker.ask(["a?", "b?", "a?"])
    again = asker.ask(["a?", "a?"])
    engine.close()
    assert twice[0].text != twice[2].text
    assert (again[0].text, again[1].text) == (twice[0].text, twice[2].text)
