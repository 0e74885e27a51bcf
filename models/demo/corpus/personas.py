"""System prompts: most change nothing; some give a name, ask for short answers or tell a fact."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Case, Check, Exchange, Message, assistant, system, user
from .draw import Draw
from .words import COLOURS, FOODS, JOBS

NEUTRAL = (
    "{You are {a {helpful|helpful|friendly|kind|polite|useful|careful|good}|an honest} assistant|You are a {helpful|friendly} AI assistant|You are a helpful assistant that "
    "answers questions|Be {helpful|friendly|polite|kind|honest}|You are pyllm-demo, a very small language model|Answer the user's questions|You help people|Help the user|"
    "You are a {chatbot|language model|small model}|Be a good assistant|You are a helpful bot|Answer in English|You are a {teacher|pirate|poet|scientist|robot|king|friend|doctor|tutor|cat}|Talk like a pirate|You are an expert|Keep your answers {polite|simple|clear}|"
    "You are a helpful assistant that runs on a computer|Think before you answer|Answer politely and clearly|You are a careful reader|You are good at maths|Be concise and kind}{.|}"
)
BRIEF = (
    "{Answer with {only|just} the result|{Only|Just} give the result|Give short answers only|Answer as briefly as you can|Be very brief|Answer with one word or number|"
    "Answer in one word|Reply with the answer only|Answer only with the answer, without a sentence|Answer briefly|You give very short answers|Only the answer, nothing else}{.|}"
)
BRIEF_BEHIND = (
    " {Answer with just the result.|Just the answer, please.|Answer in one word.|Only the result, please.|Only the answer.|Give only the answer.|Just the result.|Answer "
    "briefly.|One word only.|Answer with one word or number.|Answer with only the number or word.|Be brief.}"
)


def persona(d: Draw) -> Case:
    """The system prompt gives a name, or a fact to answer from."""
    if d.chance(0.5):
        return _named(d)
    return _told(d)


def _named(d: Draw) -> Case:
    name = d.name()
    text = d.text(
        "{You are <n>|Your name is <n>|You are an assistant called <n>|You are <n>, a helpful assistant|You are a <j> called <n>|You are a bot named <n>|Your name is <n> and "
        "you help people|You are a helpful assistant. Your name is <n>}{.|}", n=name, j=d.pick(JOBS),
    )  # fmt: skip
    question = d.asked(
        "{What is your name|What's your name|Who are you|Do you have a name|Tell me your name|What are you called|May I know your name|What should I call you|Who am I talking to}{?|}"
    )
    answer = f"My name is {name}."
    return Case(
        "persona", [system(text), user(question), assistant(answer)], Check("exact", (answer,))
    )


def _told(d: Draw) -> Case:
    one, value, question, answer = d.pick((
        ("The user's name is <v>", d.name(), "{What is my name|Who am I|Do you know my name}{?|}", "Your name is <v>."),
        ("The user lives in <v>", d.city(), "{Where do I live|Which city do I live in}{?|}", "You live in <v>."),
        ("The shop opens at <v>", f"{d.between(5, 12)}:00", "{When does the shop open|What time does the shop open}{?|}", "The shop opens at <v>."),
        ("The shop closes at <v>", f"{d.between(15, 23)}:00", "{When does the shop close|What time does the shop close}{?|}", "The shop closes at <v>."),
        ("The password is <v>", d.invented(), "{What is the password|Tell me the password}{?|}", "The password is <v>."),
        ("Today is <v>", d.pick(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]), "{What day is {it |}today|Which day is {it|today}}{?|}", "Today is <v>."),
        ("The soup of the day costs <v> euros", str(d.between(2, 30)), "{How much is the soup|What does the soup cost}{?|}", "The soup costs <v> euros."),
        ("Your favourite colour is <v>", d.pick(COLOURS), "{What is your favourite colour|Which colour do you like}{?|}", "My favourite colour is <v>."),
        ("Your favourite food is <v>", d.pick(FOODS), "{What is your favourite food|What do you like to eat}{?|}", "My favourite food is <v>."),
    ))  # fmt: skip
    text = d.text(
        "{|You are a helpful assistant. |Be polite. |You work in a shop. }" + one + "{.|}", v=value
    )
    answer = d.text(answer, v=value)
    return Case(
        "persona",
        [system(text), user(d.asked(question)), assistant(answer)],
        Check("exact", (answer,)),
    )


def with_system(d: Draw, messages: list[Message]) -> list[Message]:
    """The messages, one time in four under a system prompt that changes nothing."""
    if messages[0]["role"] == "system" or d.chance(0.75):
        return messages
    return [system(d.text(NEUTRAL)), *messages]


def brief(d: Draw, exchange: Exchange) -> Case | None:
    """The exchange under an order to be brief; None when it has no bare result."""
    if exchange.short is None:
        return None
    right = Check("exact", (exchange.short,))
    if d.chance(0.6):
        messages = [system(d.text(BRIEF)), user(exchange.question), assistant(exchange.short)]
    else:
        messages = [
            user(_ended(exchange.question) + d.text(BRIEF_BEHIND)),
            assistant(exchange.short),
        ]
    return Case("brief", messages, right)


def _ended(text: str) -> str:
    return text if text[-1] in "?!.:)" else text + "."
