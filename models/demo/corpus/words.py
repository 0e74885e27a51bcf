"""The words that cases are made of."""

from __future__ import annotations

NAMES = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kate", "Leo", "Maria", "Nina", "Oscar", "Paul", "Rosa", "Sam", "Tina", "Tom", "Vera", "Will", "Alice", "Bob", "Carol", "Dan", "Eva", "Frank", "Gina", "Hugo", "Iris", "John", "Karl", "Lena", "Mark", "Nora", "Otto", "Peter", "Rita", "Sarah", "Theo", "Ursula", "Victor", "Wendy", "Adam", "Bella", "Chris", "Diana", "Eric", "Fiona", "George", "Hannah", "Ivan", "Julia", "Kevin", "Laura", "Max", "Natalie", "Owen", "Paula", "Robert", "Sophie", "Tim", "Lucy", "James", "Mary", "Michael", "Linda", "Susan", "Thomas", "Jane", "Alex", "Amy", "Andrew", "Brian", "Chloe", "Daniel", "Ella", "Ethan", "Eve", "Fred", "Harry", "Isabel", "Jacob", "Jim", "Joe", "Joseph", "Kim", "Lily", "Liam", "Lisa", "Luke", "Mia", "Martin", "Matt", "Mike", "Nick", "Noah", "Olivia", "Pat", "Ray", "Rose", "Ruth", "Sally", "Simon", "Steve", "Ted", "Tony", "Zoe", "Ali", "Omar", "Fatima", "Wei", "Yuki", "Priya", "Raj", "Ana", "Carlos", "Diego", "Elena", "Hassan", "Ingrid", "Jan", "Lars", "Marco", "Mohamed", "Olga", "Pablo", "Sven", "Aisha", "Amir", "Dmitri", "Hiro", "Kofi", "Layla", "Mei", "Nadia", "Ravi", "Sana", "Tariq", "Yara", "Alan", "Ada", "Grete", "Sean"]

# Never in the training text: evaluation asks with these.
HELD_OUT_NAMES = ["Arthur", "Beatrice", "Conrad", "Dora", "Edgar", "Florence", "Gustav", "Helena", "Ulric", "Judith", "Konrad", "Louise", "Quincy", "Nelly", "Oliver", "Petra", "Quentin", "Rachel", "Stella", "Tobias", "Valerie", "Walter", "Yvonne", "Zelda"]

CITIES = """Paris London Rome Berlin Madrid Vienna Oslo Prague Lisbon Dublin Athens Cairo Tokyo Delhi Boston Chicago
Toronto Sydney Lima Nairobi Warsaw Helsinki Hamburg Munich Milan Venice Lyon Geneva Zurich Brussels Kyoto Seoul
Beijing Bangkok Dallas Denver Seattle Miami Houston Glasgow Leeds Bristol York Oxford Porto Naples Turin Cologne
Krakow Budapest Sofia Dakar Lagos Accra Havana Quito Bogota Santiago Perth Auckland Manila Jakarta Mumbai Istanbul
New York|San Francisco|Los Angeles|Cape Town|Hong Kong""".replace("\n", " ")
CITIES = [c for part in CITIES.split("|") for c in ([part] if part in (
    "San Francisco", "Los Angeles", "Cape Town", "Hong Kong") else part.split())]  # fmt: skip
CITIES = [c for c in CITIES if c not in ("New", "York")] + ["New York"]

COLOURS = ["red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gold", "silver"]
ANIMALS = ["fox", "bear", "rabbit", "owl", "mouse", "cat", "dog", "hedgehog", "squirrel", "duck", "frog", "turtle", "wolf", "deer", "sparrow", "goat", "horse", "lamb", "penguin", "elephant", "lion", "tiger", "monkey", "badger", "beaver", "otter", "crow", "snail", "bee", "whale", "dragon"]
PETS = ["cat", "dog", "rabbit", "parrot", "hamster", "turtle", "goldfish", "horse", "pony", "mouse", "snake", "lizard"]
FOODS = """pizza pasta rice soup bread cheese apples bananas chocolate cake ice cream|salad sushi curry pancakes
noodles potatoes cherries strawberries cookies honey tacos""".replace("\n", " ")
FOODS = [f for f in FOODS.replace("ice cream|", "").split()] + ["ice cream"]
JOBS = ["teacher", "doctor", "nurse", "baker", "farmer", "painter", "writer", "singer", "driver", "cook", "gardener", "pilot", "sailor", "carpenter", "dentist", "engineer", "lawyer", "plumber", "librarian", "musician", "photographer", "programmer", "scientist", "student", "tailor", "waiter"]
HOBBIES = ["reading", "painting", "swimming", "cooking", "running", "chess", "football", "tennis", "cycling", "dancing", "fishing", "gardening", "hiking", "singing", "skating", "sewing", "drawing", "photography", "climbing", "knitting", "baking", "sailing"]
SEASONS = ["spring", "summer", "autumn", "winter"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
OBJECTS = ["lamp", "chair", "table", "book", "clock", "bag", "bicycle", "coat", "hat", "key", "umbrella", "kettle", "mirror", "pencil", "phone", "radio", "scarf", "shirt", "shoe", "spoon", "ball", "basket", "blanket", "bottle", "bowl", "box", "brush", "candle", "cup", "guitar", "knife", "ladder", "map", "pillow", "plate", "ring", "rope", "vase", "watch", "wallet", "kite", "drum"]
THINGS = ["apples", "oranges", "pears", "books", "pencils", "coins", "stamps", "marbles", "cards", "eggs", "cookies", "flowers", "balloons", "stickers", "shells", "stones", "buttons", "candles", "cups", "hats", "nuts", "plums", "toys", "tickets", "keys"]

# Common short words for lists, spelling, sorting and reversing.
PLAIN_WORDS = ["apple", "arm", "ball", "bank", "bath", "bean", "bear", "bed", "bell", "bird", "boat", "bone", "book", "bowl", "box", "bread", "bridge", "brush", "bus", "cake", "camp", "candle", "car", "card", "castle", "cat", "chair", "cheese", "child", "circle", "city", "clock", "cloud", "coat", "coin", "cook", "corn", "cow", "crown", "cup", "desk", "dog", "door", "dream", "dress", "drum", "duck", "ear", "earth", "egg", "engine", "eye", "face", "farm", "feather", "field", "fire", "fish", "flag", "floor", "flower", "foot", "forest", "fork", "fox", "friend", "frog", "fruit", "game", "garden", "gate", "girl", "glass", "gold", "goose", "grape", "grass", "hand", "hat", "heart", "hill", "honey", "horse", "house", "ice", "island", "jacket", "jar", "juice", "key", "king", "kitchen", "kite", "knife", "lake", "lamp", "leaf", "lemon", "letter", "lion", "map", "market", "milk", "mirror", "money", "moon", "mountain", "mouse", "music", "nail", "neck", "nest", "night", "nose", "nut", "ocean", "onion", "orange", "oven", "paint", "paper", "park", "pear", "pen", "pencil", "piano", "picture", "plane", "plant", "plate", "pocket", "potato", "queen", "rabbit", "radio", "rain", "ring", "river", "road", "rock", "roof", "room", "root", "rope", "rose", "salt", "sand", "school", "sea", "seed", "sheep", "ship", "shirt", "shoe", "shop", "sky", "snow", "soap", "sock", "song", "soup", "spoon", "spring", "star", "stone", "storm", "story", "street", "sugar", "summer", "sun", "table", "tail", "tea", "tent", "tiger", "time", "tomato", "tooth", "tower", "town", "toy", "train", "tree", "truck", "valley", "violin", "voice", "wall", "watch", "water", "wave", "wheel", "whale", "wind", "window", "wing", "winter", "wolf", "wood", "word", "yard", "zebra", "banana", "strawberry", "cherry", "computer", "elephant", "hello", "language", "model", "pumpkin", "python", "keyboard", "pineapple", "butterfly", "rainbow", "chocolate", "school", "teacher", "penguin", "giraffe", "monkey", "rabbit", "robot", "rocket", "pizza", "cookie", "coffee", "happy", "small", "large", "purple", "yellow", "family", "mother", "father", "sister", "brother", "number", "seven", "eleven", "twelve", "blueberry", "raspberry", "mississippi", "crocodile", "dinosaur", "umbrella", "airplane", "bicycle", "hospital", "library", "parrot", "peach", "plum", "melon", "carrot", "pepper", "cucumber", "broccoli", "world", "people", "time", "night", "light", "dragon", "knight", "wizard", "magic", "pirate", "treasure", "sandwich", "thunder", "lightning", "morning", "evening", "question", "answer", "letter", "sentence"]
PLAIN_WORDS = sorted(set(PLAIN_WORDS))

ONSETS = ["b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "qu", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "z"]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]
CODAS = ["_", "_", "_", "n", "r", "l", "s", "m", "k", "t", "x", "nd", "rt", "lm"]
# Pieces of real words: invented words made of them exercise every piece the tokenizer has.
FRAGMENT_SOURCES = sorted({word.lower() for word in (*NAMES, *PLAIN_WORDS, *ANIMALS, *JOBS, *HOBBIES) if word.isalpha()} | {
    word.lower() for city in CITIES for word in city.split()})  # fmt: skip

NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
