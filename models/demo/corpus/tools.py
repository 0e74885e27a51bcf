"""Tool calls: which tool, with which arguments, and the answer made from its result."""
# ruff: noqa: ARG005, E501  results that do not vary; a phrase with its choices is easier to read unbroken

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arithmetic import arithmetic
from .case import Case, Check, Message, assistant, user
from .draw import Draw
from .small_talk import small_talk
from .words import CITIES, DAYS, FOODS, PLAIN_WORDS

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}


@dataclass(frozen=True)
class Tool:
    names: tuple[str, ...]
    description: str
    parameters: tuple[
        tuple[tuple[str, ...], dict[str, Any], Callable[[Draw], Any]], ...
    ]  # names, schema, value
    question: str  # <p0>, <p1> … are the values
    result: Callable[[Draw], dict[str, Any]]
    answer: str  # <p0> … and the result's keys


_LANGUAGES = ["German", "French", "Spanish", "Italian", "Chinese", "Japanese", "Polish", "Dutch"]
_SKIES = ["sunny", "cloudy", "rainy", "windy", "snowy", "foggy"]
_COINS = ["EUR", "USD", "GBP", "JPY", "CHF"]
TOOLS = (
    Tool(("get_weather", "weather", "get_current_weather", "current_weather"), "{Get|Returns} the {current |}weather {in|of|for} a city",
         ((("city", "location", "place"), _TEXT, lambda d: d.city()),),
         "{What is the weather {like |}in <p0>{| today| now}|How is the weather in <p0>|Is it {raining|sunny|cold|warm} in <p0>|Weather in <p0>|What's the "
         "weather in <p0>|Tell me the weather in <p0>|How warm is it in <p0>|What is the temperature in <p0>}{?|}",
         lambda d: {"temperature": d.between(-15, 38), "sky": d.pick(_SKIES)}, "In <p0> it is <temperature> degrees and <sky>."),
    Tool(("get_time", "current_time", "time", "clock"), "{Get|Returns|Tells} the {current |}time in a city", ((("city", "place", "location"), _TEXT,
         lambda d: d.city()),), "{What time is it in <p0>|Tell me the time in <p0>|What is the time in <p0>|How late is it in <p0>|Time in <p0>}{?|}",
         lambda d: {"time": f"{d.between(0, 23)}:{d.between(10, 59)}"}, "It is <time> in <p0>."),
    Tool(("send_message", "send_sms", "message"), "{Send|Sends} a message to a person", ((("to", "recipient", "name"), _TEXT, lambda d: d.name()),
         (("text", "message", "body"), _TEXT, lambda d: _note(d))), "{Send {a message to <p0>|<p0> a message|<p0> the message}: <p1>|Tell <p0>: <p1>|Write "
         "to <p0>: <p1>|Text <p0>: <p1>|Message <p0>: <p1>}", lambda d: {"sent": True}, "Your message to <p0> was sent."),
    Tool(("set_timer", "timer", "start_timer"), "{Set|Start|Sets} a timer", ((("minutes", "duration", "length"), _WHOLE, lambda d: d.between(1, 90)),),
         "{Set a timer {for|to} <p0> minutes|Start a timer {for|of} <p0> minutes|Timer {for |}<p0> minutes|Remind me in <p0> minutes|Wake me in <p0> "
         "minutes}{.|}", lambda d: {"ok": True}, "The timer is set to <p0> minutes."),
    Tool(("translate", "translate_text"), "{Translate|Translates} a word {in|}to another language", ((("text", "word"), _TEXT, lambda d: d.pick(PLAIN_WORDS)),
         (("language", "target", "to"), _TEXT, lambda d: d.pick(_LANGUAGES))), "{Translate <p0> {to|into} <p1>|What is <p0> in <p1>|How do you say <p0> "
         "in <p1>}{?|}", lambda d: {"translation": d.invented()}, "In <p1>, <p0> is <translation>."),
    Tool(("convert_currency", "convert", "exchange"), "{Convert|Converts} {money|an amount} from one currency to another",
         ((("amount", "value"), _WHOLE, lambda d: d.between(1, 999)), (("from", "from_currency", "source"), _TEXT, lambda d: d.pick(_COINS[:2])),
          (("to", "to_currency", "target"), _TEXT, lambda d: d.pick(_COINS[2:]))),
         "{Convert <p0> <p1> {to|into} <p2>|How much is <p0> <p1> in <p2>|What are <p0> <p1> in <p2>|<p0> <p1> in <p2>}{?|}",
         lambda d: {"result": d.between(1, 9999)}, "<p0> <p1> are <result> <p2>."),
    Tool(("play_music", "play", "play_song"), "{Play|Plays} {a song|music}", ((("artist", "by", "singer"), _TEXT, lambda d: d.name()),),
         "{Play {music|songs|a song|something} by <p0>|I want to hear <p0>|Put on {music by |}<p0>}{.|}", lambda d: {"song": d.pick(PLAIN_WORDS)},
         "I am playing <song> by <p0>."),
    Tool(("search", "web_search", "search_web", "lookup"), "{Search|Searches} the {web|internet|encyclopedia}", ((("query", "q", "text"), _TEXT, lambda d: _topic(d)),),
         "{Search for <p0>|Look up <p0>|Search the web for <p0>|Find {information about |}<p0>|Google <p0>}{.|}",
         lambda d: {"answer": d.text("{It is a <w> in <c>|It is made of <w>|It is near <c>}", w=d.pick(PLAIN_WORDS), c=d.city())}, "I found this: <answer>."),
    Tool(("create_event", "add_event", "schedule_meeting", "book_meeting"), "{Create|Add|Adds} {an event|a meeting} {in|to} the calendar",
         ((("person", "with", "guest"), _TEXT, lambda d: d.name()), (("day", "date", "when"), _TEXT, lambda d: d.pick(DAYS))),
         "{{Create|Add|Make|Schedule|Plan|Book} a meeting with <p0> on <p1>|Put a meeting with <p0> on <p1> in my calendar|I want to meet <p0> on <p1>}{.|}",
         lambda d: {"created": True}, "Your meeting with <p0> on <p1> is in the calendar."),
    Tool(("add_numbers", "add", "sum"), "{Add|Adds} two numbers", ((("a", "x", "first"), _WHOLE, lambda d: d.between(1000, 99_999)),
         (("b", "y", "second"), _WHOLE, lambda d: d.between(1000, 99_999))), "{What is <p0> + <p1>|Add <p0> and <p1>|<p0> + <p1>|What is <p0> plus <p1>|"
         "Calculate <p0> + <p1>}{?|}", lambda d: {"result": d.between(2000, 199_998)}, "<p0> + <p1> = <result>."),
    Tool(("order_food", "order", "order_meal"), "{Order|Orders} food", ((("dish", "food", "item"), _TEXT, lambda d: d.pick(FOODS)),
         (("quantity", "count", "amount"), _WHOLE, lambda d: d.between(1, 12))), "{Order <p1> <p0>|I want <p1> portions of <p0>|Please order <p1> portions "
         "of <p0>|Get me <p1> <p0>}{.|}", lambda d: {"minutes": d.between(5, 90)}, "<p1> <p0> will come in <minutes> minutes."),
    Tool(("find_route", "route", "get_directions", "directions"), "{Find|Finds|Get} {the way|a route} between two cities", ((("from", "start", "origin"), _TEXT,
         lambda d: d.city()), (("to", "destination", "end"), _TEXT, lambda d: d.city())), "{How do I get from <p0> to <p1>|Find {a|the} {route|way} from <p0> "
         "to <p1>|How far is it from <p0> to <p1>|Show me the way from <p0> to <p1>}{?|}", lambda d: {"km": d.between(10, 9000)},
         "It is <km> km from <p0> to <p1>."),
    Tool(("turn_on", "switch_on", "light_on"), "{Turn|Turns|Switch} on {a light|a device} in a room", ((("room", "where", "place"), _TEXT,
         lambda d: d.pick(("kitchen", "garden", "bedroom", "bathroom", "office", "hall", "cellar"))),), "{Turn on the {light|lights} in the <p0>|Switch on "
         "the <p0> {light|lights}|{Light|Lights} on in the <p0>|Make light in the <p0>}{.|}", lambda d: {"ok": True}, "The light in the <p0> is on."),
    Tool(("get_price", "price", "stock_price"), "{Get|Returns} the price of {a thing|an article|a product}", ((("item", "product", "name", "symbol"), _TEXT,
         lambda d: d.pick(PLAIN_WORDS) if d.chance(0.7) else d.invented()),), "{What does {a |}<p0> cost|How much is {a |}<p0>|What is the price of {a |}<p0>|Price "
         "of <p0>}{?|}", lambda d: {"price": d.between(1, 999)}, "The price of <p0> is <price>."),
)  # fmt: skip


def _note(d: Draw) -> str:
    return d.text(
        "{I {am|will be} late|Dinner is at <n>|See you on <d>|Please call me|Happy birthday|I am in <c>|Bring <f>|Thank you|The train is late|Meet me in <c>|hello|"
        "The <w> is ready|Good luck}", n=d.between(1, 12), d=d.pick(DAYS), c=d.pick(CITIES), f=d.pick(FOODS), w=d.pick(PLAIN_WORDS),
    )  # fmt: skip


def _topic(d: Draw) -> str:
    return d.text(
        "{<w>|<i>|<w> {in|from} <c>|the {king|history|price|river} of <c>|<c>}",
        w=d.pick(PLAIN_WORDS),
        i=d.invented(),
        c=d.city(),
    )


def tool_call(d: Draw) -> Case:
    """One to four tools; the last turn is the call, the answer after its result, or no call."""
    tools = d.sample(TOOLS, d.pick((1, 1, 2, 2, 3, 4)))
    tool = tools[0]
    named = [(t, d.pick(t.names), [d.pick(names) for names, _, _ in t.parameters]) for t in tools]
    definitions = [_definition(d, *row) for row in named]
    d.rng.shuffle(definitions)
    if d.chance(0.15):
        return _no_call(d, definitions)
    values = [value(d) for _, _, value in tool.parameters]
    slots: dict[str, object] = {f"p{i}": value for i, value in enumerate(values)}
    question = (
        d.asked(tool.question, **slots)
        if not any(" " in str(v) for v in values)
        else d.text(tool.question, **slots)
    )
    call = json.dumps(
        {"name": named[0][1], "arguments": dict(zip(named[0][2], values, strict=True))},
        ensure_ascii=False,
    )
    messages = [user(question), assistant(f"<tool_call>{call}</tool_call>")]
    if d.chance(0.5):
        return Case("tools", messages, Check("tool", (call,)), definitions)
    result = tool.result(d)
    shown = json.dumps(result, ensure_ascii=False)
    answer = d.text(tool.answer, **slots, **result)
    if d.chance(0.08):
        shown, answer = '{"error": "not available"}', "Sorry, the tool did not work."
    messages += [{"role": "tool", "content": shown}, assistant(answer)]
    return Case("tools", messages, Check("exact", (answer,)), definitions)


def _no_call(d: Draw, definitions: list[dict[str, Any]]) -> Case:
    exchange = (
        small_talk(d)
        if d.chance(0.6) or any("add" in str(x) or "sum" in str(x) for x in definitions)
        else arithmetic(d)
    )
    if any(
        word in exchange.question.lower()
        for word in ("time", "weather", "rain", "snow", "umbrella", "temperature", "date")
    ):
        exchange = d.exchange("{Hi|Hello|Hey there|Good day}{!|.|}", "Hello! How can I help you?")
    messages: list[Message] = [user(exchange.question), assistant(exchange.answer)]
    return Case("tools", messages, exchange.check, definitions)


def _definition(d: Draw, tool: Tool, name: str, keys: list[str]) -> dict[str, Any]:
    properties = {
        key: dict(schema) for key, (_, schema, _) in zip(keys, tool.parameters, strict=True)
    }
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if d.chance(0.8):
        parameters["required"] = keys
    function: dict[str, Any] = {
        "name": name,
        "description": d.text(tool.description),
        "parameters": parameters,
    }
    if d.chance(0.1):
        del function["description"]
    return {"type": "function", "function": function}
