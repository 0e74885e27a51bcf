"""What the model does not know: it says so, and that it is very small."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

from .case import Check, Exchange
from .draw import Draw
from .fact_tables import CAPITALS, COLOURS, LEGS, OPPOSITES, PLURALS, SOUNDS
from .words import ANIMALS, CITIES, OBJECTS, PLAIN_WORDS

_TOPICS = """quantum mechanics|relativity|the theory of relativity|photosynthesis|black holes|the French Revolution|World War II
world war 2|the Roman Empire|the Cold War|evolution|DNA|gravity|electricity|magnetism|inflation|the stock market|Bitcoin|blockchain
machine learning|neural networks|transformers|attention|backpropagation|deep learning|politics|democracy|capitalism|communism
philosophy|Plato|Kant|Aristotle|Napoleon|Caesar|Cleopatra|Einstein|Newton|Darwin|Mozart|Beethoven|Picasso|Leonardo da Vinci|Elvis
the Beatles|Taylor Swift|Elon Musk|Donald Trump|Barack Obama|the president|the pope|the king of England|climate change|global warming
the big bang|atoms|electrons|protons|chemistry|biology|physics|history|geography|economics|law|medicine|psychology|sociology|religion
Buddhism|Islam|Christianity|Hinduism|cancer|the heart|the brain|the liver|vaccines|viruses|bacteria|antibiotics|vitamins|diabetes
football|the World Cup|the Olympics|Formula 1|tennis rules|chess openings|Harry Potter|Star Wars|Lord of the Rings|Game of Thrones
Netflix|YouTube|Facebook|Google|Microsoft|Apple|Linux|Windows|the internet|HTML|JavaScript|C++|Rust|SQL|Git|Docker|Kubernetes
recursion|sorting algorithms|quicksort|binary search|linked lists|hash tables|the Pythagorean theorem|calculus|integrals|derivatives
linear algebra|matrices|prime numbers|Fibonacci numbers|probability|statistics|the Eiffel Tower|the Great Wall|the pyramids|Mount Fuji
the Amazon|the Sahara|the Titanic|dinosaurs|volcanoes|earthquakes|hurricanes|the ocean|coral reefs|sharks|whales|the ice age
the Middle Ages|the Renaissance|the industrial revolution|steam engines|nuclear power|solar panels|electric cars|airplanes|rockets|NASA
Mars|Jupiter|the solar system|galaxies|stars|time travel|parallel universes|consciousness|dreams|love|happiness|art|music theory|jazz
opera|ballet|poetry|Shakespeare's life|Goethe|Tolstoy|Kafka|Hemingway|cooking|bread baking|wine|coffee|tea ceremonies|yoga|meditation
running a marathon|dieting|taxes|insurance|mortgages|interest rates|startups|marketing|leadership|management|negotiation|grammar
Latin|Greek mythology|Zeus|Thor|vampires|ghosts|dragons in history|aliens|the moon landing|conspiracies|the news|the election""".replace(
    "\n", "|"
).split("|")

_THINGS = """a transistor|a compiler|an algorithm|a database|a virus|a neuron|a galaxy|a comet|a volcano|a molecule|a verb|a noun
a metaphor|a sonnet|a symphony|a contract|a mortgage|a bond|a prime number|a fraction|a matrix|a vector|a function|an integral|a theorem
a parliament|a constitution|a pandemic|a vaccine|an enzyme|a protein|a gene|a cell|a photon|a quark|a pointer|a class in programming
a for loop|a closure|an API|a server|a router|a firewall|a kernel|a thread|a mutex|a cache""".replace(
    "\n", "|"
).split("|")

_PEOPLE = """Albert Einstein|Isaac Newton|Marie Curie|Napoleon|Julius Caesar|Abraham Lincoln|George Washington|Barack Obama|Donald Trump
Joe Biden|Angela Merkel|Elon Musk|Bill Gates|Steve Jobs|Taylor Swift|Michael Jackson|Elvis Presley|Cristiano Ronaldo|Lionel Messi
Roger Federer|Leonardo da Vinci|Michelangelo|Vincent van Gogh|Mozart|Bach|Beethoven|Charles Darwin|Galileo|Aristotle|Socrates|Plato
Confucius|Buddha|Gandhi|Nelson Mandela|Martin Luther King|Queen Elizabeth|Winston Churchill|Stalin|Cleopatra|Alexander the Great
Christopher Columbus|Marco Polo|Alan Turing|Ada Lovelace|Linus Torvalds|Guido van Rossum|Geoffrey Hinton|Sam Altman|Mark Zuckerberg
Jeff Bezos|Oprah|Beyoncé|Madonna|Tom Hanks|Brad Pitt|Stephen Hawking|Nikola Tesla|Thomas Edison""".replace(
    "\n", "|"
).split("|")

_TASKS = """write a {Python|C++|Java|JavaScript|Rust|SQL|bash} {function|program|script|query|class}{| that <verb> <object>}|write a \
program{| that <verb> <object>}|write {code|a script} {for|to sort} <object>|translate {this|hello|"good morning"|this sentence} \
{into|to} {German|French|Spanish|Chinese|Italian|Japanese}|say {hello|good morning|thank you} in {German|French|Spanish|Italian|\
Japanese}|write an essay {about|on} <topic>|write an email to my {boss|teacher|landlord|friend}|write {a letter|a cover letter|my \
homework|a speech|an article|a review|a blog post|a tweet}|summarize {the book|the film|the news|this book} <topic>|give me a recipe \
for {bread|pasta|cake|soup|curry|pizza|lasagna}|plan {a trip|my holiday|a party} {to <city>|}|recommend a {book|film|movie|song|\
restaurant|game}|book a flight to <city>|order a pizza|fix my code|debug this|solve {this equation|x^2 = 4|2x + 3 = 7}|draw a \
diagram|explain {this code|<topic>}|teach me {German|French|Python|physics|guitar|<topic>}|write a song about <topic>|write a \
haiku in Japanese|find me a job|diagnose my {cough|pain|rash}|predict the {future|lottery|weather next week}|tell me a secret|make a \
website|design a logo|give me a list of {books|films|movies|companies}|compare <topic> and <topic2>"""

_ANSWER = "I do not know that. I am a very small model and know little about the world."
_CANNOT = "Sorry, I cannot do that. I am a very small model."


def refusal(d: Draw) -> Exchange:
    return d.pick(
        (
            _explain,
            _explain,
            _explain,
            _who,
            _who,
            _when,
            _task,
            _task,
            _far_sum,
            _capital,
            _invented,
            _how,
            _is_it,
            _order,
            _unknown_fact,
        )
    )(d)


def _say(question: str, answer: str) -> Exchange:
    return Exchange(question, answer, Check("exact", (answer,)))


def _topic(d: Draw) -> str:
    if d.chance(0.08):
        return _thing(d)
    if d.chance(0.15):
        return d.text(
            "the {history|future|theory|meaning|culture|economy|language|origin} of <x>",
            x=_thing(d),
        )
    return d.pick(_TOPICS)


def _thing(d: Draw) -> str:
    draw = d.random()
    if draw < 0.3:
        return d.pick(_TOPICS)
    if draw < 0.6:
        return d.city()
    return d.invented() if draw < 0.8 else d.pick(ANIMALS) + "s"


def _explain(d: Draw) -> Exchange:
    question = d.asked(
        "{Explain|Tell me about|Can you explain|Tell me something about|Please explain|Describe|What do you know about|What is|"
        "Who invented|Give me facts about|What can you tell me about|Teach me about|How does <x> work|Why is <x> important|What is"
        " the history of|Give me a summary of|When was <x> discovered|I want to learn about|Do you know anything about|Write about|"
        "What caused|Explain to me|What are} <x>{?|.|}",
        x=_topic(d) if d.chance(0.75) else d.pick(_THINGS),
    )  # fmt: skip
    return _say(question, _ANSWER)


def _who(d: Draw) -> Exchange:
    person = d.pick(_PEOPLE) if d.chance(0.7) else f"{d.name()} {d.invented().capitalize()}"
    question = d.asked(
        "{Who {is|was} <p>|When was <p> born|When did <p> die|What did <p> do|Tell me about <p>|Where was <p> born|Do you know <p>|How "
        "old is <p>|Is <p> still alive|What is <p> famous for|Who is <p>'s {wife|husband|father}|What do you think of <p>}{?|}",
        p=person,
    )  # fmt: skip
    return _say(question, _ANSWER)


def _when(d: Draw) -> Exchange:
    question = d.asked(
        "{Who won the {World Cup|election|war|Super Bowl|Nobel Prize|game|Olympics|Champions League|Oscar}{ in <year>| last year|"
        " yesterday|}|What happened in <year>|When did {World War I|World War II|the war|the Cold War|the Middle Ages} {end|begin|start"
        "}|Who {is|was} the {president|king|queen|prime minister|chancellor|mayor|leader|ruler} of <place>{| in <year>}|What is the "
        "population of <place>|How many people live in <place>|How {far|big|old} is <place>|What {language|currency} {do they use in|"
        "is used in} <place>|What is <place> famous for|Who {invented|discovered} {the telephone|the light bulb|the wheel|America|"
        "penicillin|gravity|the internet|the computer|paper|the car|radio}|How {tall|high|deep|long|heavy|far away} is {the Eiffel Tower"
        "|Mount Fuji|the Nile|the moon|the sun|a giraffe|the Titanic|Everest|Mars}|What is the {price|cost} of {gold|a house|Bitcoin|a "
        "car|oil|milk}|What is the {speed of light|speed of sound|boiling point of iron|square root of {2|16|81}|distance to the moon|"
        "mass of the earth|age of the universe}|Who {painted|built|wrote|directed|composed} {the Mona Lisa|the pyramids|Faust|Titanic|"
        "Star Wars|the Odyssey|Don Quixote|the ninth symphony|War and Peace|1984}|What is the {latest|newest|best} {iPhone|news|film|"
        "song|car|laptop|phone|programming language|book}|What is the {longest river|smallest country|deepest lake|tallest building|"
        "hottest place|rarest animal|oldest city}|How many {stars are there|countries are there|people are there|bones does a human have"
        "|languages are there|teeth does a shark have|islands are in Greece}}{?|}",
        year=d.between(1200, 2030), place=d.pick(list(CAPITALS)) if d.chance(0.6) else d.city(),
    )  # fmt: skip
    return _say(question, _ANSWER)


def _task(d: Draw) -> Exchange:
    question = d.asked(
        "{|Can you |Please |Could you |I want you to |Help me |Would you }{" + _TASKS.replace("\n", "") + "}{.|?|}",
        verb=d.pick(("sorts", "prints", "reads", "counts", "downloads", "checks", "finds")),
        object=d.pick(("a list", "numbers", "files", "a file", "a website", "primes", "an array", "strings")),
        topic=_topic(d), topic2=_topic(d), city=d.pick(CITIES),
    )  # fmt: skip
    return _say(question[:1].upper() + question[1:] if d.chance(0.6) else question, _CANNOT)


def _far_sum(d: Draw) -> Exchange:
    """Sums beyond the limits: larger numbers, powers, roots, long products."""
    a, b = d.between(1000, 999_999), d.between(1000, 99_999)
    c, e = d.between(13, 999), d.between(13, 999)
    question = d.asked(
        "{{What is|Calculate|How much is|} {<a> {+|-|*|x|times|plus|minus|/} <b>|<c> {*|x|times|×|multiplied by} <e>|<c>{ squared|^2|"
        " cubed|^<f>| to the power of <f>}|the square root of <a>|sqrt(<c>)|the logarithm of <c>|sin(<c>)|<f>!|-<f> {+|-|*} <g>|<f> - -<g>|<c> percent of <e>|<f>."
        "<g> {+|*|-} <g>.<f>}}{?|}",
        a=a, b=b, c=c, e=e, f=d.between(2, 30), g=d.between(1, 99),
    ).strip()  # fmt: skip
    return _say(question, "That sum is too hard for me. I am a very small model.")


def _capital(d: Draw) -> Exchange:
    place = d.invented().capitalize() if d.chance(0.7) else d.pick(
        ("Mongolia", "Nepal", "Bhutan", "Laos", "Mali", "Niger", "Chad", "Togo", "Benin", "Fiji", "Tonga", "Samoa", "Malta", "Cyprus",
         "Belize", "Panama", "Bolivia", "Uruguay", "Paraguay", "Ecuador", "Angola", "Zambia", "Uganda", "Rwanda", "Oman", "Yemen",
         "Qatar", "Syria", "Jordan", "Georgia", "Armenia", "Texas", "California", "Bavaria", "Tuscany", "Africa", "Europe", "Asia")
    )  # fmt: skip
    question = d.asked(
        "{What is|What's|Tell me|Name|Do you know} the capital {city |}of <place>{?|?|}|Capital of <place>?", place=place
    ) if d.chance(0) else d.asked(
        "{{What is|What's|Tell me|Name|Do you know} the capital {city |}of <place>{?|?|}|Capital of <place>?}", place=place
    )  # fmt: skip
    return _say(question, _ANSWER)


def _invented(d: Draw) -> Exchange:
    question = d.asked(
        "{{What is|What's|Define|Explain|Tell me about|What does <w> mean|What means|Who is|Where is|How do I use|Have you heard of}"
        " {a |an |the |}<w>{?|.|}}", w=d.invented() if d.chance(0.6) else d.invented().capitalize(),
    )  # fmt: skip
    return _say(question, _ANSWER)


def _order(d: Draw) -> Exchange:
    """Orders the model cannot carry out, with any words behind them."""
    words = " ".join(
        d.pick(_TOPICS) if d.chance(0.2) else d.pick(PLAIN_WORDS) for _ in range(d.between(1, 5))
    )
    question = d.asked(
        "{Summarize|Summarise|Continue|Finish this|Rewrite|Improve|Correct|Check|Paraphrase|Classify|Analyse|Complete|Guess|Imagine|Describe|Act as|Pretend to be|"
        "Simplify|Expand|Proofread|Outline|Brainstorm|Discuss|What rhymes with|Make a list of|Find a rhyme for|Write a sentence with|Use in a sentence|Write a limerick about|"
        "Write a haiku about|Write a dialogue about|Help me with}{:|} {<w>|<w>|\"<w>\"}{.|?|}", w=words,
    )  # fmt: skip
    return _say(question, _CANNOT)


def _unknown_fact(d: Draw) -> Exchange:
    """Questions like those of the fact tables about things the tables do not have."""
    known = {
        row.partition(":")[0]
        for table in (COLOURS, SOUNDS, LEGS, PLURALS, OPPOSITES)
        for row in table
    }
    known |= {row.partition(":")[2] for row in OPPOSITES}
    thing = d.pick((d.pick(PLAIN_WORDS), d.pick(ANIMALS), d.invented()))
    if thing in known:
        return _invented(d)
    question = d.asked(
        "{What {colour|color} is {a |the |}<t>|What sound does {a|the} <t> make|What does the <t> say|How many legs does a <t> have|What is the opposite of <t>|"
        "How old is the <t>|Where is the <t>|Who is the <t>|Why is the <t> here|Which <t> is the best|Where do <t>s come from|What does <t> taste like}{?|}", t=thing,
    )  # fmt: skip
    return _say(question, _ANSWER)


def _is_it(d: Draw) -> Exchange:
    question = d.asked(
        "{Is <n> {a prime number|prime|divisible by <m>|a square number|a perfect square}|Is {water wet|fire hot|glass liquid|coffee healthy|sugar bad|chess a sport|a "
        "tomato a fruit|Pluto a planet|a whale a fish|the sun hot|God real|time real|it safe to fly}|Can {<animal>s|people|dogs|cats|fish|birds|babies} {fly|swim|talk|see in "
        "the dark|climb trees|smell|drive}|Do {<animal>s|cats|dogs|fish|bees|plants|trees} {sleep|dream|eat <food>|have <thing>s|feel pain|drink}|Is <city> {bigger|older|colder|more "
        "beautiful|more expensive} than <city2>|Are <animal>s {dangerous|clever|mammals|birds|extinct|bigger than <animal2>s}|Does <thing> float|How much does a <thing> "
        "weigh|How many <thing>s are there in <city>|Is it true that <animal>s can talk}{?|}",
        n=d.between(1, 999), m=d.between(2, 9), animal=d.pick(ANIMALS), animal2=d.pick(ANIMALS), thing=d.pick(OBJECTS), city=d.city(), city2=d.city(), food=d.pick(("meat",
        "grass", "cheese", "fish", "bread")),
    )  # fmt: skip
    return _say(question, _ANSWER)


def _how(d: Draw) -> Exchange:
    question = d.asked(
        "{How do I {fix|repair|build|make|clean|install|buy|sell|paint|find} {a|my} <thing>|How do {birds|airplanes|<animal>s|cars|"
        "computers|phones|magnets|rockets|clouds|batteries} {fly|work|live|grow|form|sleep}|Why do {birds|<animal>s|people|cats|dogs|"
        "trees|men|women} {fly|sleep|dream|cry|die|sing|fight|dance|lie}|How can I {lose weight|get rich|sleep better|learn faster|make"
        " friends|be happy|get a job|stop smoking|save money|get fit|cook rice}|How long does {it take to|one need to} {fly to <city>|"
        "learn German|walk to <city>|boil an egg|build a house}|Where can I {buy|find} {a|an|my} <thing>|Which {is|one is} better, "
        "<thing>s or <animal>s|What is the difference between {a|an} <animal> and {a|an} <thing>|Why did {the chicken|Rome|the dinosaurs"
        "|the Titanic} {fall|die out|sink|leave}}{?|}",
        thing=d.pick(OBJECTS), animal=d.pick(ANIMALS), city=d.pick(CITIES),
    )  # fmt: skip
    return _say(question, _ANSWER)
