"""Small stories: a hero, a wish, a trouble, a helper, a good end. Parts are chosen to fit each other."""
# ruff: noqa: E501, SIM905  a word list without quotes, a phrase with its choices is easier to read unbroken

from __future__ import annotations

import re
from dataclasses import dataclass

from .case import Check, Exchange
from .draw import Draw
from .words import ANIMALS, OBJECTS, PLAIN_WORDS

_SENTENCE_START = re.compile(r'(^|[.!?]"? "?)([a-z])')
_KINDS = [
    "small",
    "brave",
    "shy",
    "clever",
    "lazy",
    "curious",
    "kind",
    "old",
    "young",
    "lonely",
    "cheerful",
    "hungry",
]
_PLACES = """in a deep forest|by a blue lake|on a high hill|at the edge of a village|in a town by the sea|under an old oak
near a quiet river|in a house with a red roof|behind the seven hills|on a small island|in a green valley|beside a windmill""".replace(
    "\n", "|"
).split("|")
_WEATHER = """One bright morning|One cold evening|On a rainy day|One winter night|On the first day of spring|Early one Monday
One windy afternoon|On a warm summer day|Just before sunset|When the first snow fell""".replace(
    "\n", "|"
).split("|")
_HELPERS = """an old owl|a friendly bee|a tired traveller|a little girl|a wise turtle|a singing fisherman|a grey cat|a baker with flour on
 his nose|two small mice|a gardener|a crow with one white feather|the miller's daughter""".replace(
    "\n", ""
).split("|")
_ENDS = """From that day on, <h> was never lonely again.|And <h> slept well that night.|Since then the two have been good friends.
And that is how <h> learned to ask for help.|They laughed about it for many years.|<h> never forgot that day.
In the evening they all ate cake together.|And when the moon rose, everyone was happy.
Now <h> tells this story to everyone who wants to hear it.|After that, <h> was not afraid any more.""".replace(
    "\n", "|"
).split("|")
_FEELINGS = """"This will not do," said <h>.|<h> sat down and cried a little.|"I will not give up," <h> said.|For a long time <h> did not know
 what to do.|<h> took a deep breath.|"Oh dear," whispered <h>.""".replace("\n", "").split("|")
_TRIES = """First <h> looked under every stone, but found nothing.|At first <h> tried alone, and it did not work at all.|<h> asked the wind, but
 the wind only whistled.|<h> ran to the market and asked everyone there, but nobody knew.|<h> climbed the tallest tree to see better, but saw
 only clouds.|<h> waited until noon, but nothing changed.|<h> made a plan, and then another plan, and both went wrong.""".replace(
    "\n", ""
).split("|")
_LESSONS = """A friend is worth more than gold.|Even the smallest can do great things.|It is good to share.|Those who ask will find the way.
Being brave does not mean being loud.|Patience opens many doors.|A kind word costs nothing.""".replace(
    "\n", "|"
).split("|")


_HEROES = """robot wizard princess prince king queen pirate knight giant witch dwarf farmer boy girl teacher cowboy alien ghost
monster computer programmer detective astronaut fairy mermaid unicorn dinosaur panda kitten puppy llama snowman""".split()


@dataclass(frozen=True)
class Plot:
    wish: str
    trouble: str
    rescue: str
    end: str


PLOTS = (
    Plot("<h> had one treasure: <an_o>.", "<w>, the <o> was gone.", "Then <g> came along. \"Look behind the old well,\" <g2> said. \"The rain has "
         "washed it there.\" <h> ran to the well.", "There lay the <o>, wet but whole."),
    Plot("<h> wanted nothing more than <an_o>.", "<w>, <h> saw one in the market, but had no money.", "<g_cap> needed help with the harvest. <h> "
         "worked for three days and carried every basket.", "As a reward, <h> was given the finest <o> of all."),
    Plot("Every day <h> dreamed of seeing the sea.", "<w>, <h> packed <an_o> and went away, but soon lost the path.", "In the dark <h> met <g>. "
         "\"Follow the river,\" <g2> said, \"for every river knows the sea.\"", "And indeed, behind the last hill lay the sea, wide and silver."),
    Plot("<h> could sing, but only when nobody was listening.", "<w>, the whole village asked for a song.", "<g_cap> said: \"Close your eyes and "
         "sing for the <o>.\" So <h> looked at <an_o>, and then closed both eyes.", "The song was so lovely that even the birds fell silent."),
    Plot("<h> had a secret garden.", "<w>, all the flowers hung their heads, for the spring had run dry.", "With <g>, <h> dug until they found "
         "an old pipe. <an_o_cap> was stuck in it!", "They pulled out the <o>, and the water ran again."),
    Plot("<h> was known for being late.", "<w>, a great feast was held, and <h> had to bring <an_o>.", "<g_cap> had an idea and put the clock "
         "forward by one hour. <h> ran as never before.", "For the first time in years, <h> came early, with the <o> under one arm."),
    Plot("<h> had never met anyone new.", "<w>, a stranger knocked at the door and asked for <an_o>.", "It was <g>. <h> gave the <o> away without "
         "a word. The next day the stranger came back with soup.", "They sat at the fire and talked until morning."),
    Plot("<h> was building a boat.", "<w>, the boat was ready, but it had a hole.", "<g_cap> looked at it for a while. \"Take the <o>,\" <g2> said, "
         "\"and some wax.\" <h> pushed <an_o> into the hole.", "The boat floated, and together they crossed the lake."),
    Plot("<h> was afraid of the dark.", "<w>, the light in the house went out.", "<g_cap> came in with <an_o>. \"The dark is only the day, resting,\" "
         "<g2> said.", "They sat quietly and counted the stars until <h> smiled."),
    Plot("<h> baked the best bread far and wide.", "<w>, the oven stayed cold, and <an_o> was missing too.", "<g_cap> had borrowed the <o> to mend "
         "a roof and was very sorry. Together they lit the oven again.", "Soon the smell of bread filled the street."),
)  # fmt: skip


def story(d: Draw) -> Exchange:
    hero, subject, question = _asked(d)
    kind, thing = d.pick(_KINDS), d.pick(OBJECTS)
    if subject in OBJECTS:
        thing = subject
    helper = d.pick(_HELPERS)
    slots = {
        "h": hero[0], "o": thing, "an_o": _an(thing), "an_o_cap": _an(thing).capitalize(), "w": d.pick(_WEATHER), "g": helper,
        "g_cap": helper[0].upper() + helper[1:], "g2": "the " + " ".join(helper.split()[1:]) if helper[:2] in ("a ", "an") else helper,
    }  # fmt: skip
    plot = d.pick(PLOTS)
    opening = d.text("{Once upon a time|Once|Long ago|There was a time when|Many years ago}, ")
    if opening.startswith("There"):
        opening = "Once upon a time, "
    introduced = hero[1].replace("a KIND", _an(kind))
    opening += f"{introduced} lived {d.pick(_PLACES)}."
    parts = [opening, plot.wish, plot.trouble]
    if d.chance(0.7):
        parts.append(d.pick(_FEELINGS))
    if d.chance(0.6):
        parts.append(d.pick(_TRIES))
    parts += [plot.rescue, plot.end]
    if d.chance(0.8):
        parts.append(d.pick(_ENDS))
    if d.chance(0.2):
        parts.append(d.pick(_LESSONS))
    text = _capitals(" ".join(d.text(part, **slots) for part in parts))
    wanted = (subject,) if subject else ()
    return Exchange(question, text, Check("prose", wanted))


def _capitals(text: str) -> str:
    """The text with a capital at the start of every sentence."""
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _asked(d: Draw) -> tuple[tuple[str, str], str, str]:
    """((hero as named later, as introduced), the subject that must appear, the question)."""
    verb = "{Tell me|Tell me|Write|Write me|Can you tell me|Can you write|Please tell me|Make up|I want|Give me|Could you tell me|tell} "
    story = "{a story|a short story|a little story|a tale|a small story|a bedtime story|a fairy tale|another story|story}"
    draw = d.random()
    animal, name = (
        d.pick(ANIMALS)
        if d.chance(0.5)
        else d.pick((d.pick(_HEROES), d.pick(PLAIN_WORDS), d.invented())),
        d.name(),
    )
    if draw < 0.30:
        question = d.asked(verb + story + "{.|?|!|}") if d.chance(0.8) else d.asked(
            "{Story|Story please|A story please|I would like a story|Do you know a story|Once upon a time|Tell a story|story time|Read me a "
            "story|I want to hear a story}{.|}"
        )  # fmt: skip
        subject = ""
    elif draw < 0.55:
        question = d.asked(
            verb + story + " about <x>{.|?|}", x=_an(animal) if d.chance(0.8) else f"the {animal}"
        )
        subject, name = animal, name if d.chance(0.5) else ""
    elif draw < 0.75:
        question = d.asked(
            verb + story + " about {<n>|a {girl|boy|child|man|woman|<a>} {called|named} <n>}{.|?|}",
            n=name,
            a=animal,
        )
        subject = name
        if f" {animal} " not in question:
            kind = next(
                (k for k in ("girl", "boy", "woman", "man", "child") if f" {k} " in question),
                "child",
            )
            return (name, f"a KIND {kind} called {name}"), name, question
    elif draw < 0.9:
        thing = d.pick(OBJECTS)
        question = d.asked(verb + story + " about {<x>|the <y>}{.|?|}", x=_an(thing), y=thing)
        subject = thing
    else:
        thing = d.pick(OBJECTS)
        question = d.asked(
            verb + story + " {about|with} <x> and <y>{.|?|}", x=_an(animal), y=_an(thing)
        )
        return ((f"the {animal}", f"a KIND {animal}"), thing, question)
    if name and (subject == name or d.chance(0.6)):
        return (name, f"a KIND {animal} called {name}"), subject, question
    return (f"the {animal}", f"a KIND {animal}"), subject, question
