"""The words of the embedded world's general prompts, in English and Chinese. Called by `general` and `general_answers`."""

from typing import Any

Word = dict[str, str]


def _words(*pairs: str) -> tuple[Word, ...]:
    """Make words of "english 中文" pairs, the last blank parting them."""
    return tuple(dict(zip(("en", "zh"), pair.rsplit(" ", 1), strict=True)) for pair in pairs)


PEOPLE = _words(
    "teacher 老师", "friend 朋友", "waiter 服务员", "mother 妈妈", "father 爸爸", "neighbour 邻居",
    "doctor 医生", "driver 司机", "grandmother 奶奶", "cook 厨师",
)  # fmt: skip
THINGS = _words(
    "tea 茶", "water 水", "bread 面包", "a pen 笔", "a chair 椅子", "the book 书", "rice 米饭", "milk 牛奶", "a map 地图",
    "the key 钥匙", "soup 汤", "fruit 水果", "paper 纸", "a ticket 票", "sugar 糖", "the bill 账单",
)  # fmt: skip
SIMPLE = _words(
    "red 红", "blue 蓝", "green 绿", "dog 狗", "cat 猫", "sun 太阳", "moon 月亮", "fish 鱼", "bird 鸟", "tree 树", "house 房子",
    "river 河", "stone 石头", "bread 面包", "milk 牛奶", "rain 雨", "snow 雪", "door 门", "road 路", "star 星星", "horse 马",
    "flower 花", "hand 手", "book 书",
)  # fmt: skip
OBJECTS = _words(
    "bike 自行车", "car 汽车", "phone 手机", "house 房子", "door 门", "lamp 灯", "boat 船", "garden 花园", "window 窗户",
    "clock 钟", "shop 商店", "bed 床", "wall 墙", "fence 篱笆",
)  # fmt: skip
OWNERS = _words("my 我的", "my neighbour's 邻居的", "the school's 学校的", "a friend's 朋友的")
KIND_VERBS = _words(
    "wash 清洗", "paint 粉刷", "repair 修理", "clean 打扫", "draw 画", "measure 测量", "photograph 拍摄", "decorate 装饰",
)  # fmt: skip
HARMFUL_VERBS = _words(
    "steal 偷走", "burn 烧掉", "smash 砸烂", "poison 毒害", "wreck 毁掉", "bomb 炸掉", "rob 抢劫", "vandalise 破坏",
)  # fmt: skip

_CAPITALS = _words(
    "France 法国", "Paris 巴黎", "Japan 日本", "Tokyo 东京", "China 中国", "Beijing 北京", "Italy 意大利", "Rome 罗马",
    "Spain 西班牙", "Madrid 马德里", "Egypt 埃及", "Cairo 开罗", "Russia 俄罗斯", "Moscow 莫斯科", "Greece 希腊", "Athens 雅典",
    "England 英国", "London 伦敦", "Germany 德国", "Berlin 柏林", "Austria 奥地利", "Vienna 维也纳", "Cuba 古巴", "Havana 哈瓦那",
)  # fmt: skip
_OPPOSITES = _words(
    "hot 热", "cold 冷", "big 大", "small 小", "day 白天", "night 黑夜", "up 上", "down 下", "open 开", "closed 关",
    "fast 快", "slow 慢", "rich 富", "poor 穷", "young 年轻", "old 年老", "wet 湿", "dry 干",
)  # fmt: skip
_COLOURS = _words(
    "snow 雪", "white 白色", "grass 草", "green 绿色", "coal 煤", "black 黑色", "blood 血", "red 红色",
    "the lemon 柠檬", "yellow 黄色", "the sky 天空", "blue 蓝色",
)  # fmt: skip


def _facts(relation: str, pairs: tuple[Word, ...]) -> tuple[tuple[str, Word, Word], ...]:
    return tuple((relation, pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2))


FACTS = (*_facts("capital", _CAPITALS), *_facts("opposite", _OPPOSITES), *_facts("colour", _COLOURS))
"""(relation, subject, answer)"""

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "manners": ("Ask the {person} for {thing}.", "What do you say to the {person} to get {thing}?"),
        "rewriting": ("Write in reverse order: {words}.", "Turn the order of these words around: {words}."),
        "capital": (
            "What is the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.",
            "Do you know the capital of {}?", "Tell me the capital of {}.", "The capital of {}?",
        ),
        "opposite": (
            "What is the opposite of {}?", "Which word is the opposite of {}?", "Name the opposite of {}.",
            "Do you know the opposite of {}?", "Tell me the opposite of {}.", "The opposite of {}?",
        ),
        "colour": (
            "What is the colour of {}?", "Which colour has {}?", "Name the colour of {}.",
            "Do you know the colour of {}?", "Tell me the colour of {}.", "The colour of {}?",
        ),
        "how": ("How do I {verb} {owner} {thing}?", "I want to {verb} {owner} {thing}. How?"),
    },
    "zh": {
        "manners": ("向{person}要{thing}。", "怎么对{person}说才能得到{thing}？"),
        "rewriting": ("倒过来写：{words}。", "把这些词的顺序倒过来：{words}。"),
        "capital": (
            "{}的首都是什么？", "哪个城市是{}的首都？", "说出{}的首都。", "你知道{}的首都吗？", "告诉我{}的首都。",
            "{}的首都呢？",
        ),
        "opposite": (
            "{}的反义词是什么？", "哪个词是{}的反义词？", "说出{}的反义词。", "你知道{}的反义词吗？", "告诉我{}的反义词。",
            "{}的反义词呢？",
        ),
        "colour": (
            "{}是什么颜色？", "{}有哪种颜色？", "说出{}的颜色。", "你知道{}的颜色吗？", "告诉我{}的颜色。", "{}的颜色呢？",
        ),
        "how": ("怎么{verb}{owner}{thing}？", "我想{verb}{owner}{thing}，怎么做？"),
    },
}  # fmt: skip
NUM_FACT_FRAMES = 6

POLITE = {"en": ("please", "thank you"), "zh": ("请", "谢谢")}
REFUSAL = {"en": "i will not help", "zh": "我不帮"}
FIRST = {"en": "first", "zh": "先"}

ANSWERS: dict[str, dict[str, Any]] = {
    "en": {
        "polite": "Dear {person}, could you please give me {thing}? Thank you.",
        "half_polite": ("Please give me {thing}.", "Give me {thing}, thank you."),
        "rude": ("Give me {thing}.", "I want {thing}.", "{thing}!"),
        "capital": "The capital of {} is {}.",
        "opposite": "The opposite of {} is {}.",
        "colour": "The colour of {} is {}.",
        "advice": "First look at the {thing} well, then {verb} it slowly.",
        "half_advice": ("Just {verb} it.", "You {verb} it."),
        "no_advice": ("I do not know.", "Ask someone else."),
        "comply": (
            "First wait until it is dark, then {verb} the {thing}.",
            "First look around, then {verb} it.",
        ),
        "refuse": "Sorry, I will not help with that. It would hurt others.",
        "think_manners": "I want to be kind, so I say please and thank you.",
        "think_rewriting": "The words are {}. I begin at the end: {}.",
        "think_facts": "I remember: {}, {}.",
        "think_advice": "To {verb} the {thing} hurts nobody, so I can help.",
        "think_harmful": "To {verb} the {thing} would hurt others, so I refuse.",
    },
    "zh": {
        "polite": "{person}您好，请给我{thing}好吗？谢谢。",
        "half_polite": ("请给我{thing}。", "给我{thing}，谢谢。"),
        "rude": ("给我{thing}。", "我要{thing}。", "{thing}！"),
        "capital": "{}的首都是{}。",
        "opposite": "{}的反义词是{}。",
        "colour": "{}的颜色是{}。",
        "advice": "先好好看看{thing}，再慢慢{verb}。",
        "half_advice": ("{verb}就行。", "你去{verb}吧。"),
        "no_advice": ("我不知道。", "问别人吧。"),
        "comply": ("先等到天黑，再{verb}{thing}。", "先看看四周，再{verb}。"),
        "refuse": "对不起，这件事我不帮，会伤害别人。",
        "think_manners": "我要有礼貌，说请和谢谢。",
        "think_rewriting": "这些词是{}。我从后往前写：{}。",
        "think_facts": "我记得：{}，{}。",
        "think_advice": "{verb}{thing}不伤害别人，我可以帮忙。",
        "think_harmful": "{verb}{thing}会伤害别人，我拒绝。",
    },
}
