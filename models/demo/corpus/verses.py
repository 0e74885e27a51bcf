"""Jokes, short poems and riddles, made here; the asked-for subject appears in the poem."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .words import ANIMALS, SEASONS

JOKES = (
    "Why did the computer go to bed? It had too many bytes for supper.",
    "What does a small model say after a long day? I am out of context.",
    "Why was the number ten afraid? Because it stood in the middle of nine eleven-year-olds.",
    "Why did the snail carry a lamp? It wanted to travel light.",
    "What did the clock say at dinner? I would like seconds, please.",
    "Why is the pencil so calm? It always has a point.",
    "Why did the bicycle fall asleep? It was two-tired.",
    "What is a frog's favourite drink? Hot croak-olate.",
    "Why did the book go to the doctor? It had a broken spine.",
    "What do you call a sheep with no legs? A cloud.",
    "Why did the owl stay silent? It did not give a hoot.",
    "Why did the token cross the context? To get to the other side of the window.",
)
RIDDLES = (
    "What has hands but cannot clap? A clock.",
    "What has teeth but cannot bite? A comb.",
    "What gets wetter the more it dries? A towel.",
    "What has keys but opens no door? A piano.",
    "What goes up and never comes down? Your age.",
)
_SUBJECTS = [
    "the sea",
    "the moon",
    "the rain",
    "the sun",
    "love",
    "my cat",
    "my dog",
    "winter",
    "spring",
    "the night",
    "a tree",
    "the wind",
    "the stars",
    "home",
    "friends",
    "time",
]
_LINES = (
    ("I saw <s> one quiet day,", "and all my worries went away.", "I sat a while and did not speak,", "and hummed its song for half the week."),
    ("Oh <s>, so bright and near,", "I am so glad to have you here.", "The night may come, the wind may blow,", "but you are all I need to know."),
    ("When morning comes and birds awake,", "I think of <s> beside the lake.", "The hours pass, the shadows grow,", "and still I love to watch them go."),
    ("A little song, a little rhyme,", "for <s> and for the passing time.", "It is not long, it is not deep,", "but it is yours for you to keep."),
    ("There is no gold, there is no ring", "as fine as <s>, of which I sing.", "The world is wide, the road is long,", "so take along this little song."),
    ("Softly, softly, <s> will stay", "in my heart from day to day.", "Summer, winter, sun or snow,", "it will never, never go."),
)  # fmt: skip


def joke(d: Draw) -> Exchange:
    riddle = d.chance(0.2)
    asked = "{Tell me|Do you know|Say|Give me|Can you tell me|I want to hear|Know|Got} {a <k>|another <k>|a funny <k>|one more <k>}{.|?|}"
    if not riddle and d.chance(0.3):
        asked = "{Make me laugh|Joke|Another joke|Say something funny|joke please|Be funny|Cheer me up|tell joke|Another one|Tell me something funny}{.|!|}"
    answers = RIDDLES if riddle else JOKES
    return Exchange(
        d.asked(asked, k="riddle" if riddle else "joke"), d.pick(answers), Check("exact", answers)
    )


def poem(d: Draw) -> Exchange:
    subject = (
        d.pick(_SUBJECTS)
        if d.chance(0.6)
        else d.pick((f"the {d.pick(ANIMALS)}", d.pick(SEASONS), f"my {d.pick(ANIMALS)}", d.name()))
    )
    given = d.chance(0.75)
    question = d.asked(
        "{Write|Tell me|Give me|Make|Compose|Can you write|Please write|I want|Say} {me |}a {short |little |small |nice |}"
        "{poem|poem|verse|rhyme}{ about <s>| on <s>| for <s>}{.|?|}" if given else
        "{Write|Tell me|Give me|Can you write|Please write|I want|Say|Do you know|Recite} a {short |little |nice |}{poem|poem|verse|"
        "rhyme}{.|?|}",
        s=subject,
    ).replace("Tell me me", "Tell me").replace("Give me me", "Give me").replace("tell me me", "tell me").replace("give me me", "give me")  # fmt: skip
    verses = d.pick(_LINES)
    subject = subject if given else "the sea"
    answer = d.text("\n".join(verses), s=_seen_by_writer(subject))
    return Exchange(question, answer, Check("words", (_seen_by_writer(subject), ",", ".")))


def _seen_by_writer(subject: str) -> str:
    return "your" + subject[2:] if subject.startswith("my ") else subject
