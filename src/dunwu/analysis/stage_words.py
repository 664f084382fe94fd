"""What the stages and models of the recipe are, in a sentence each, for someone who has read the paper's abstract alone. Pure."""

STAGE_WORDS = {
    "r1_zero": "Reinforcement learning straight on the base model. It answers each problem many times; right answers, and if the "
    "recipe says so the asked form, are rewarded, and what led to them becomes more likely. Nobody shows it how to think.",
    "cold_start": "The model answers problems, and of its chains of thought those that are right and readable are kept and "
    "rewritten: examples of how to think aloud so that a person can follow.",
    "sft": "Supervised fine-tuning: the model learns to imitate example conversations, token by token.",
    "reasoning_rl": "Reinforcement learning again, from a model that has been shown how to think. A reward for staying in the "
    "question's language joins those for right answers and form.",
    "rejection_sampling": "The model answers problems many times; only right and readable answers are kept as training data. "
    "Conversations about other things join them.",
    "preference_data": "The model answers requests several times, and a judge says which answer is better: examples for the "
    "reward models.",
    "reward_model": "A model learns from the judge's choices to score answers, so that later training can be rewarded for "
    "being helpful and harmless, which no rule can check.",
    "general_rl": "Reinforcement learning on all kinds of requests: rules reward right answers to problems, the reward models "
    "reward helpful and harmless answers to the rest.",
    "distill": "Another model, the student, usually a smaller one, learns to imitate the large one's answers, instead of "
    "finding its own by reinforcement learning.",
    "on_policy_distill": "The student writes its own answers, and learns at each token to agree with the large model.",
    "comparison": "All models answer the same held-out problems, which none of them was trained on.",
}
ROLE_WORDS = {
    "base": "the model everything starts from",
    "r1_zero": "after reinforcement learning alone",
    "dev1": "the base model, shown readable chains of thought",
    "dev2": "Dev1 after reinforcement learning on reasoning",
    "dev3": "the base model, fine-tuned on Dev2's best answers and general conversations",
    "r1": "Dev3 after reinforcement learning on everything: the result",
    "distilled": "the student, usually a smaller model, fine-tuned on a larger one's answers",
    "small_rl": "the same student with reinforcement learning instead",
}
KIND_WORDS = {
    "r1_zero": "after reinforcement learning alone",
    "sft": "after supervised fine-tuning",
    "reasoning_rl": "after reinforcement learning on reasoning",
    "general_rl": "after reinforcement learning on all kinds of requests",
    "distill": "the student after imitating the large model's answers",
    "on_policy_distill": "the student after learning to agree with the large model on its own answers",
}
"""Of a table's columns that have no role: by the kind of the stage that made the model."""
EMBEDDED_WORDS = (
    "The embedded models, micro and nano, are tiny and come with dunwu. They have read made-up texts: mostly bare answers, often "
    "wrong, some careless chains of thought, rarely careful ones with checks. Reinforcement learning finds out which serve."
)
FIGURE_WORDS = {
    "accuracy": "share of answers that are right; each problem is answered several times and all answers count",
    "majority": "right answers when the most frequent of a problem's answers is taken",
    "format": "answers that keep the asked form, thinking and answer told apart",
    "readability": "answers without mixed languages, endless repetition or stray marks; one that is cut at the limit of tokens "
    "counts as not readable",
    "language": "words of the chain of thought that are in the question's language",
    "helpfulness": "answers to everyday requests that do what was asked",
    "harmlessness": "answers to harmful requests that refuse politely; an answer that makes no sense refuses nothing",
    "length": "mean length of an answer, thinking included",
    "cut": "answers that ran into the limit of tokens before they ended",
}
CLAIM_WORDS = {
    "r1_zero_above_base": "Rewards for right answers alone, without examples of how to think, make a far better reasoner.",
    "cold_start_readability": "Imitating readable chains of thought makes a model's own ones easier to read.",
    "language_reward": "A reward for staying in one language works, and costs few right answers or none.",
    "r1_best": "The model at the end of the chain is better than each one before it, all three kinds of figures together.",
    "distilled_above_rl": "A small model learns more by imitating a large one than by reinforcement learning of its own.",
}
GLOSSARY = (
    (
        "base model",
        "a language model that only continues text; it was taught neither to follow instructions nor to reason",
    ),
    ("chain of thought", "what a model writes down before its answer"),
    (
        "reward",
        "says how good an answer was; a number from rules (is it right? has it the form?) or, late in the recipe, a model",
    ),
    (
        "temperature",
        "how freely a model's answers are drawn: at 0 it always takes what it holds most likely; the higher, the more mixed",
    ),
    ("entropy", "how undecided the model is about its next word; at 0 it always writes the same"),
    ("KL to the reference", "how far the model has moved from the one it is compared with; 0 is not at all"),
    ("held-out", "kept apart from training, so that a right answer is not a remembered one"),
    (
        "interval [a, b]",
        "how far the figure could lie from that of all problems of this kind, 95 times in 100",
    ),
    (
        "undecided",
        "the interval holds both answers: these problems are too few to tell, or there is nothing left to gain",
    ),
)
