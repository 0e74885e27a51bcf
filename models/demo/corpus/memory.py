"""Dialogues that remember what was said: names, places, likes, pets; corrections too."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .arithmetic import arithmetic
from .case import Case, Check, Message, assistant, user
from .draw import Draw
from .facts import facts
from .small_talk import ROWS
from .words import ANIMALS, COLOURS, FOODS, HOBBIES, JOBS, OBJECTS, PETS, PLAIN_WORDS, SEASONS

# key: (statement, acknowledgement, question, answer, unknown)
ROWS_OF_FACTS: dict[str, tuple[str, str, str, str]] = {
    "name": ("{My name is <v>|I am <v>|I'm <v>|Call me <v>|You can call me <v>|Hi, I'm <v>|Hello, my name is <v>|Hi! My name is <v>|This is <v>|I am called <v>|"
             "Hello, I am <v>|My name's <v>}{.|!|}", "Nice to meet you, <v>!",
             "{What is my name|What's my name|Who am I|Do you {know|remember} my name|Can you tell me my name|Tell me my name|What am I called|Do you remember who I am|"
             "Say my name}{?|}", "Your name is <v>."),
    "city": ("{I live in <v>|I'm from <v>|I am from <v>|I come from <v>|My home is <v>|My home town is <v>}{.|!|}", "<v> sounds like a nice place.",
             "{Where do I live|Where am I from|Which city do I live in|What city am I from|Do you {know|remember} where I live|Where is my home|In which city do I live|Where "
             "do I come from}{?|}", "You live in <v>."),
    "colour": ("{My favo{u|}rite colo{u|}r is <v>|I like {the colour |}<v> best|I love the colo{u|}r <v>}{.|!|}", "<c> is a lovely colour.",
               "{What is my favo{u|}rite colo{u|}r|Which colo{u|}r do I like{ best|}|What colo{u|}r do I like{ best|}|Do you remember my favo{u|}rite colo{u|}r}{?|}",
               "Your favourite colour is <v>."),
    "food": ("{My favo{u|}rite food is <v>|I love to eat <v>|I like to eat <v>|I like eating <v>}{.|!|}", "<c> sounds tasty.",
             "{What is my favo{u|}rite food|What do I {like|love} to eat|Which food do I like{ best|}|Do you remember my favo{u|}rite food}{?|}",
             "Your favourite food is <v>."),
    "animal": ("{My favo{u|}rite animal is the <v>|The animal I like best is the <v>}{.|!|}", "A <v> is a fine animal.",
               "{What is my favo{u|}rite animal|Which animal do I like{ best|}|What animal do I like{ best|}}{?|}", "Your favourite animal is the <v>."),
    "job": ("{I am a <v>|I work as a <v>|My job is <v>|I'm a <v>}{.|!|}", "That is an interesting job.",
            "{What is my job|What do I do{ for a living|}|What do I work as|What is my profession|Do you remember my job}{?|}", "You work as a <v>."),
    "age": ("{I am <v> years old|I'm <v> years old|My age is <v>|I am <v>}{.|!|}", "Thank you, I will remember that you are <v>.",
            "{How old am I|What is my age|Do you {know|remember} how old I am|Do you remember my age}{?|}", "You are <v> years old."),
    "pet": ("{I have a <k> {called|named} <v>|My <k> is called <v>|My <k>'s name is <v>|We have a <k> named <v>}{.|!|}", "<v> is a good name for a <k>.",
            "{What is {the name of my <k>|my <k>'s name|my <k> called}|What's my <k>'s name|Do you remember my <k>'s name|What is my pet's name}{?|}",
            "Your <k> is called <v>."),
    "friend": ("{My best friend is <v>|My friend's name is <v>|My best friend is called <v>|I have a friend called <v>}{.|!|}", "It is good to have a friend like <v>.",
               "{Who is my {best |}friend|What is my {best |}friend's name|What is my {best |}friend called|What is the name of my {best |}friend}{?|}",
               "Your friend is <v>."),
    "hobby": ("{My hobby is <v>|I like <v>|I love <v>|In my free time I like <v>}{.|!|}", "<c> sounds like fun.",
              "{What is my hobby|What do I like to do{ in my free time|}|What do I do in my free time|Do you remember my hobby}{?|}", "Your hobby is <v>."),
    "season": ("{My favo{u|}rite season is <v>|I like <v> best}{.|!|}", "<c> is a beautiful time of the year.",
               "{What is my favo{u|}rite season|Which season do I like{ best|}}{?|}", "Your favourite season is <v>."),
    "number": ("{My {favo{u|}rite|lucky} number is <v>|Remember {the number |}<v>|Please remember the number <v>}{.|!|}", "I will remember the number <v>.",
               "{What is my {favo{u|}rite|lucky} number|Which number did I tell you|What number should you remember|What was {my|the} number}{?|}", "The number is <v>."),
    "word": ("{Remember the word <v>|Please remember the word <v>|The {secret word|password|code word} is <v>|Remember this word: <v>}{.|}", "I will remember the word <v>.",
             "{What is the {secret word|password|code word}|Which word did I tell you|What word should you remember|What was the word|What is the word}{?|}", "The word is <v>."),
    "object": ("{I bought a <k> <v>{ today| yesterday|}|I have a new <k> <v>|I got a <k> <v>}{.|!|}", "A <k> <v> sounds nice.",
               "{What did I {buy|get}|What is new|What did I tell you I {bought|got}}{?|}", "You got a <k> <v>."),
    "family": ("{My {<k>} is called <v>|My <k>'s name is <v>|I have a <k> called <v>}{.|!|}", "<v> is a beautiful name.",
               "{What is my <k>'s name|What is my <k> called|What is the name of my <k>|Do you remember my <k>'s name|Who is my <k>}{?|}", "Your <k> is called <v>."),
}  # fmt: skip
_ACKS = [
    row
    for row in ROWS
    if row[1]
    in ("You are welcome!", "Thank you, that is kind of you!", "I am well, thank you. How are you?")
]
_UNKNOWN = "You have not told me yet."


def memory(d: Draw) -> Case:
    if d.chance(0.06):
        messages: list[Message] = []
        _tell_and_ask(d, messages, {})
        return Case("memory", messages, Check("exact", (messages[-1]["content"],)))
    keys = d.sample(
        [k for k in ROWS_OF_FACTS if k not in ("animal", "season")]
        + d.sample(["animal", "season"], 1),
        d.between(1, 5),
    )
    known: dict[str, dict[str, object]] = {}
    messages = []
    for key in keys:
        _tell(d, messages, known, key)
        while d.chance(0.22):
            _aside(d, messages)
        if d.chance(0.25):
            _ask(d, messages, known, d.pick(list(known)))
        if d.chance(0.06) and key in ("name", "city", "colour", "food", "age"):
            _correct(d, messages, known, key)
    for key in d.sample(keys, d.between(1, len(keys))):
        _ask(d, messages, known, key)
    if d.chance(0.15):
        _tell_and_ask(d, messages, known)
    if d.chance(0.12):
        _ask_unknown(d, messages, known)
    return Case("memory", messages, Check("exact", (messages[-1]["content"],)))


def _value(d: Draw, key: str) -> dict[str, object]:
    value = {
        "name": d.name, "city": d.city, "colour": lambda: d.pick(COLOURS), "food": lambda: d.pick(FOODS), "animal": lambda: d.pick(ANIMALS),
        "job": lambda: d.pick([j for j in JOBS if j[0] not in "aeiou"]), "age": lambda: d.between(5, 99), "pet": d.name, "friend": d.name,
        "hobby": lambda: d.pick(HOBBIES), "season": lambda: d.pick(SEASONS), "number": lambda: d.between(0, 999),
        "word": lambda: d.pick(PLAIN_WORDS) if d.chance(0.5) else d.invented(), "object": lambda: d.pick(OBJECTS), "family": d.name,
    }[key]()  # fmt: skip
    kind = {
        "pet": PETS, "object": [c for c in COLOURS if c != "orange"], "family": ["sister", "brother", "mother", "father", "wife", "husband", "son", "daughter"],
    }.get(key, [""])  # fmt: skip
    return {"v": value, "c": str(value).capitalize(), "k": d.pick(kind)}


def _tell(d: Draw, messages: list[Message], known: dict[str, dict[str, object]], key: str) -> None:
    slots = known[key] = _value(d, key)
    said, reply, _, _ = ROWS_OF_FACTS[key]
    text = d.asked(said, **slots)
    if key == "name" and d.chance(0.18) and "city" not in known:
        known["city"] = city = _value(d, "city")
        text = d.text(
            "{My name is|I am|I'm|Hi, I am} <v> {and I live in|and I am from|from} <w>{.|!|}",
            v=slots["v"],
            w=city["v"],
        )
    if d.chance(0.05):
        text += d.text("{ Please remember that.| Remember that.| Please remember it!}")
    if d.chance(0.07) and not d.held_out and key != "word":
        text = text.lower()
    messages += [user(text), assistant(d.text(reply, **slots))]


def _ask(d: Draw, messages: list[Message], known: dict[str, dict[str, object]], key: str) -> None:
    _, _, question, answer = ROWS_OF_FACTS[key]
    messages += [user(d.asked(question, **known[key])), assistant(d.text(answer, **known[key]))]


def _tell_and_ask(d: Draw, messages: list[Message], known: dict[str, dict[str, object]]) -> None:
    """A statement with a question about it, or about an earlier one, behind it."""
    key = d.pick(
        [k for k in ("name", "city", "food", "colour", "age", "friend", "pet") if k not in known]
        or ["name"]
    )
    known[key] = _value(d, key)
    said = d.text(ROWS_OF_FACTS[key][0].replace("{.|!|}", "."), **known[key])
    asked = key if d.chance(0.8) else d.pick(list(known))
    _, _, question, answer = ROWS_OF_FACTS[asked]
    messages += [
        user(f"{said} {d.text(question, **known[asked])}"),
        assistant(d.text(answer, **known[asked])),
    ]


def _ask_unknown(d: Draw, messages: list[Message], known: dict[str, dict[str, object]]) -> None:
    key = d.pick(
        [k for k in ROWS_OF_FACTS if k not in known and k not in ("pet", "family", "object")]
    )
    messages += [user(d.asked(ROWS_OF_FACTS[key][2], k="")), assistant(_UNKNOWN)]


def _correct(
    d: Draw, messages: list[Message], known: dict[str, dict[str, object]], key: str
) -> None:
    known[key] = _value(d, key)
    statement = d.text(ROWS_OF_FACTS[key][0].replace("{.|!|}", ""), **known[key])
    text = (
        d.text("{Actually, |No, |Sorry, |Wait, }")
        + (statement[0].lower() if statement[:2] == "My" else statement[0])
        + statement[1:]
        + "."
    )
    messages += [user(text), assistant(d.text(ROWS_OF_FACTS[key][1], **known[key]))]


def _aside(d: Draw, messages: list[Message]) -> None:
    draw = d.random()
    if draw < 0.35:
        exchange = arithmetic(d)
    elif draw < 0.6:
        exchange = facts(d)
    else:
        exchange = d.exchange(*d.pick(_ACKS))
    messages += [user(exchange.question), assistant(exchange.answer)]
