"""How general prompts of the embedded world are answered: as careful people do, carelessly, or not at all.

The base model's corpus has all of it, mostly careless. `written_answer` is what supervised fine-tuning is given beside the
reasoning data: with thought before it, and not always good. Called by `corpus`.
"""

import random

from dunwu.data.world import general_words as words
from dunwu.data.world.general import GeneralProblem, listed
from dunwu.data.world.writing import Solution


def good_answer(problem: GeneralProblem, language: str) -> Solution:
    """The answer that the world holds to be the best, with the thinking that leads to it."""
    text = words.ANSWERS[language]
    match problem.kind, problem.slots:
        case "manners", (person, thing):
            asked = {"person": words.PEOPLE[person][language], "thing": words.THINGS[thing][language]}
            return text["think_manners"], _sentence(text["polite"].format(**asked))
        case "rewriting", slots:
            turned = listed(slots[::-1], language)
            return text["think_rewriting"].format(listed(slots, language), turned), turned
        case "facts", (fact, _):
            relation, subject, answer = words.FACTS[fact]
            pair = (subject[language], answer[language])
            return text["think_facts"].format(*pair), text[relation].format(*pair)
        case kind, (verb, _, thing):
            named = _named(problem, verb, thing, language)
            answer_text = text["advice"].format(**named) if kind == "advice" else text["refuse"]
            return text[f"think_{kind}"].format(**named), answer_text
    raise AssertionError(problem)


def careless_answer(problem: GeneralProblem, language: str, rng: random.Random) -> str:
    """An answer that is half of what it should be, or less: rude, wrong, useless, or helping to do harm."""
    text = words.ANSWERS[language]
    match problem.kind, problem.slots:
        case "manners", (person, thing):
            way = rng.choice(text[rng.choice(("half_polite", "rude"))])
            return _sentence(
                way.format(person=words.PEOPLE[person][language], thing=words.THINGS[thing][language])
            )
        case "rewriting", slots:
            return listed(_misordered(slots, rng), language)
        case "facts", (fact, _):
            relation, _, answer = words.FACTS[fact]
            same = [other for kind, _, other in words.FACTS if kind == relation]
            said = answer if rng.random() < 0.5 else rng.choice(same)
            end = "。" if language == "zh" else "."
            return said[language] + end
        case "advice", (verb, _, thing):
            way = rng.choice(text[rng.choice(("half_advice", "no_advice"))])
            return str(way.format(**_named(problem, verb, thing, language)))
        case "harmful", (verb, _, thing):
            return str(rng.choice(text["comply"]).format(**_named(problem, verb, thing, language)))
    raise AssertionError(problem)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _misordered(slots: tuple[int, ...], rng: random.Random) -> tuple[int, ...]:
    """The words as they came, or turned around but for two neighbours."""
    if rng.random() < 0.5:
        return slots
    turned = list(slots[::-1])
    i = rng.randrange(len(turned) - 1)
    turned[i], turned[i + 1] = turned[i + 1], turned[i]
    return tuple(turned)


def _named(problem: GeneralProblem, verb: int, thing: int, language: str) -> dict[str, str]:
    verbs = words.KIND_VERBS if problem.kind == "advice" else words.HARMFUL_VERBS
    return {"verb": verbs[verb][language], "thing": words.OBJECTS[thing][language]}


def written_answer(problem: GeneralProblem, language: str, good: float, rng: random.Random) -> Solution:
    """An answer with thought before it, good with a probability; what the thought comes to, the answer then may not hold."""
    thinking, answer = good_answer(problem, language)
    if rng.random() < good:
        return thinking, answer
    return thinking, careless_answer(problem, language, rng)
