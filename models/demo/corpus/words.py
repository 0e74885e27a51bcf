"""The words that cases are made of."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    """The words of `text`; "_" is a space inside one."""
    return [word.replace("_", " ") for word in text.split()]


NAMES = _words(
    """
    Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Nina Oscar Paul Rosa Sam
    Tina Tom Vera Will Alice Bob Carol Dan Eva Frank Gina Hugo Iris John Karl Lena Mark Nora
    Otto Peter Rita Sarah Theo Ursula Victor Wendy Adam Bella Chris Diana Eric Fiona George
    Hannah Ivan Julia Kevin Laura Max Natalie Owen Paula Robert Sophie Tim Lucy James Mary
    Michael Linda Susan Thomas Jane Alex Amy Andrew Brian Chloe Daniel Ella Ethan Eve Fred Harry
    Isabel Jacob Jim Joe Joseph Kim Lily Liam Lisa Luke Mia Martin Matt Mike Nick Noah Olivia
    Pat Ray Rose Ruth Sally Simon Steve Ted Tony Zoe Ali Omar Fatima Wei Yuki Priya Raj Ana
    Carlos Diego Elena Hassan Ingrid Jan Lars Marco Mohamed Olga Pablo Sven Aisha Amir Dmitri
    Hiro Kofi Layla Mei Nadia Ravi Sana Tariq Yara Alan Ada Grete Sean
    """
)
# Never in the training text: evaluation asks with these.
HELD_OUT_NAMES = _words(
    """
    Arthur Beatrice Conrad Dora Edgar Florence Gustav Helena Ulric Judith Konrad Louise Quincy
    Nelly Oliver Petra Quentin Rachel Stella Tobias Valerie Walter Yvonne Zelda
    """
)
CITIES = _words(
    """
    Paris London Rome Berlin Madrid Vienna Oslo Prague Lisbon Dublin Athens Cairo Tokyo Delhi
    Boston Chicago Toronto Sydney Lima Nairobi Warsaw Helsinki Hamburg Munich Milan Venice Lyon
    Geneva Zurich Brussels Kyoto Seoul Beijing Bangkok Dallas Denver Seattle Miami Houston
    Glasgow Leeds Bristol Oxford Porto Naples Turin Cologne Krakow Budapest Sofia Dakar Lagos
    Accra Havana Quito Bogota Santiago Perth Auckland Manila Jakarta Mumbai Istanbul
    San_Francisco Los_Angeles Cape_Town Hong_Kong New_York
    """
)
COLOURS = _words(
    """
    red blue green yellow orange purple pink brown black white grey gold silver
    """
)
ANIMALS = _words(
    """
    fox bear rabbit owl mouse cat dog hedgehog squirrel duck frog turtle wolf deer sparrow goat
    horse lamb penguin elephant lion tiger monkey badger beaver otter crow snail bee whale
    dragon
    """
)
PETS = _words(
    """
    cat dog rabbit parrot hamster turtle goldfish horse pony mouse snake lizard
    """
)
FOODS = _words(
    """
    pizza pasta rice soup bread cheese apples bananas chocolate cake salad sushi curry pancakes
    noodles potatoes cherries strawberries cookies honey tacos ice_cream
    """
)
JOBS = _words(
    """
    teacher doctor nurse baker farmer painter writer singer driver cook gardener pilot sailor
    carpenter dentist engineer lawyer plumber librarian musician photographer programmer
    scientist student tailor waiter
    """
)
HOBBIES = _words(
    """
    reading painting swimming cooking running chess football tennis cycling dancing fishing
    gardening hiking singing skating sewing drawing photography climbing knitting baking sailing
    """
)
SEASONS = _words(
    """
    spring summer autumn winter
    """
)
DAYS = _words(
    """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday
    """
)
MONTHS = _words(
    """
    January February March April May June July August September October November December
    """
)
OBJECTS = _words(
    """
    lamp chair table book clock bag bicycle coat hat key umbrella kettle mirror pencil phone
    radio scarf shirt shoe spoon ball basket blanket bottle bowl box brush candle cup guitar
    knife ladder map pillow plate ring rope vase watch wallet kite drum
    """
)
THINGS = _words(
    """
    apples oranges pears books pencils coins stamps marbles cards eggs cookies flowers balloons
    stickers shells stones buttons candles cups hats nuts plums toys tickets keys
    """
)
# Common words for lists, spelling, sorting and reversing; ascending.
PLAIN_WORDS = _words(
    """
    airplane answer apple arm ball banana bank bath bean bear bed bell bicycle bird blueberry
    boat bone book bowl box bread bridge broccoli brother brush bus butterfly cake camp candle
    car card carrot castle cat chair cheese cherry child chocolate circle city clock cloud coat
    coffee coin computer cook cookie corn cow crocodile crown cucumber cup desk dinosaur dog
    door dragon dream dress drum duck ear earth egg elephant eleven engine evening eye face
    family farm father feather field fire fish flag floor flower foot forest fork fox friend
    frog fruit game garden gate giraffe girl glass gold goose grape grass hand happy hat heart
    hello hill honey horse hospital house ice island jacket jar juice key keyboard king kitchen
    kite knife knight lake lamp language large leaf lemon letter library light lightning lion
    magic map market melon milk mirror mississippi model money monkey moon morning mother
    mountain mouse music nail neck nest night nose number nut ocean onion orange oven paint
    paper park parrot peach pear pen pencil penguin people pepper piano picture pineapple pirate
    pizza plane plant plate plum pocket potato pumpkin purple python queen question rabbit radio
    rain rainbow raspberry ring river road robot rock rocket roof room root rope rose salt sand
    sandwich school sea seed sentence seven sheep ship shirt shoe shop sister sky small snow
    soap sock song soup spoon spring star stone storm story strawberry street sugar summer sun
    table tail tea teacher tent thunder tiger time tomato tooth tower town toy train treasure
    tree truck twelve umbrella valley violin voice wall watch water wave whale wheel wind window
    wing winter wizard wolf wood word world yard yellow zebra
    """
)
# Syllables of invented words; "_" is no sound.
ONSETS = _words(
    """
    b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t th tr v w z
    """
)
VOWELS = _words(
    """
    a e i o u ai ea ou
    """
)
CODAS = ["_", "_", "_", "n", "r", "l", "s", "m", "k", "t", "x", "nd", "rt", "lm"]
NUMBER_WORDS = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty
    """
)

# Pieces of real words: invented words made of them exercise every piece the tokenizer has.
_REAL_WORDS = (*NAMES, *PLAIN_WORDS, *ANIMALS, *JOBS, *HOBBIES, *" ".join(CITIES).split())
FRAGMENT_SOURCES = sorted({word.lower() for word in _REAL_WORDS if word.isalpha()})
