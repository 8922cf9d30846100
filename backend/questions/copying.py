"""Questions whose stem states the answer (Wiegreffe et al. 2024, arXiv 2407.15018): no knowledge is needed.

Each fact is asked four times, with its right option at each of the four places, so that places are balanced.
"""

from collections.abc import Sequence

from backend.contract.question import Question

PLACES = 4

COLORS = ("red", "blue", "green", "yellow", "orange", "purple", "black", "white", "brown", "gray", "pink")

COLORED = {
    "red": "a strawberry, a tomato, a stop sign, a fire truck, blood, a cherry, a ladybug",
    "blue": "a clear sky, a sapphire, a blueberry, a bluebird, a pair of jeans",
    "green": "grass, broccoli, an emerald, spinach, a cucumber, a frog, a lime",
    "yellow": "a sunflower, a banana, a lemon, a canary, butter, a school bus, corn",
    "orange": "a carrot, a pumpkin, a tangerine, a traffic cone, a basketball",
    "purple": "an eggplant, lavender, an amethyst, a plum, a violet",
    "black": "a raven, coal, a panther, tar, a hockey puck, ink",
    "white": "snow, milk, salt, a polar bear, cotton, a swan",
    "brown": "chocolate, coffee, a football, a walnut, cinnamon, a potato",
    "gray": "an elephant, a dolphin, ash, concrete, a rhinoceros",
    "pink": "a flamingo, a pig, bubble gum, a salmon fillet, a cherry blossom",
}

CAPITALS = (
    "France Paris, Italy Rome, Japan Tokyo, Egypt Cairo, Spain Madrid, Germany Berlin, Greece Athens, "
    "Cuba Havana, Portugal Lisbon, Austria Vienna, Russia Moscow, China Beijing, Poland Warsaw, Norway Oslo, "
    "Kenya Nairobi, Peru Lima, Canada Ottawa, Ireland Dublin, Hungary Budapest, Thailand Bangkok"
)
LANGUAGES = (
    "Brazil Portuguese, Mexico Spanish, Austria German, Egypt Arabic, Italy Italian, Japan Japanese, "
    "Poland Polish, Greece Greek, Turkey Turkish, Hungary Hungarian, Sweden Swedish, Russia Russian, "
    "Thailand Thai, Iran Persian, Vietnam Vietnamese, Australia English"
)
YOUNG = (
    "cow calf, dog puppy, cat kitten, sheep lamb, horse foal, goat kid, bear cub, deer fawn, duck duckling, "
    "goose gosling, frog tadpole, swan cygnet, kangaroo joey, pig piglet, hen chick, hare leveret"
)
OPPOSITES = (
    "hot cold, big small, up down, day night, fast slow, happy sad, light dark, open closed, wet dry, "
    "old young, rich poor, empty full, loud quiet, early late, sweet bitter, strong weak"
)
AUTHORS = (
    "Hamlet Shakespeare, Dracula Stoker, Frankenstein Shelley, Ulysses Joyce, Emma Austen, Faust Goethe, "
    "Matilda Dahl, Walden Thoreau, Candide Voltaire, Persuasion Austen, Kim Kipling, Dubliners Joyce, "
    "Ivanhoe Scott, Utopia More, Siddhartha Hesse, Nostromo Conrad"
)

# subject, "thing answer" pairs, statement, question
RELATIONS = (
    ("world capitals", CAPITALS, "The capital of {} is {}.", "What is the capital of {}?"),
    ("languages", LANGUAGES, "The main language of {} is {}.", "What is the main language of {}?"),
    ("animals", YOUNG, "A young {} is called a {}.", "What is a young {} called?"),
    ("opposites", OPPOSITES, "The opposite of {} is {}.", "What is the opposite of {}?"),
    ("literature", AUTHORS, "The author of {} is {}.", "Who is the author of {}?"),
)


def colors() -> tuple[Question, ...]:
    """`A sunflower is yellow. What color is a sunflower?`, four colors to choose from."""
    things = [(thing, color) for color, names in COLORED.items() for thing in names.split(", ")]
    stems = [
        (f"{thing[0].upper()}{thing[1:]} is {color}. What color is {thing}?", color)
        for thing, color in _interleaved(things)
    ]
    return _at_every_place("colors", stems, COLORS)


def facts() -> tuple[Question, ...]:
    """`The capital of France is Paris. What is the capital of France?` and four other relations."""
    questions: list[Question] = []
    for subject, pairs, statement, asked in RELATIONS:
        things = [pair.rsplit(" ", 1) for pair in pairs.split(", ")]
        text = f"{statement} {asked}"
        stems = [(text.format(thing, answer, thing), answer) for thing, answer in things]
        questions += _at_every_place(subject, stems, tuple(dict.fromkeys(answer for _, answer in things)))
    return tuple(questions)


def _interleaved(things: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """In steps that pass over neighbours, so that a color does not come many times in a row."""
    step = 11
    return [things[(index * step) % len(things)] for index in range(len(things))]


def _at_every_place(
    subject: str, stems: Sequence[tuple[str, str]], answers: Sequence[str]
) -> tuple[Question, ...]:
    questions = []
    for turn in range(PLACES):
        for index, (stem, answer) in enumerate(stems):
            others = [other for other in answers if other != answer]
            options = [others[(index + PLACES * turn + 3 * step) % len(others)] for step in range(PLACES - 1)]
            place = (index + turn) % PLACES
            options.insert(place, answer)
            questions.append(Question(stem, tuple(options), place, subject))
    return tuple(questions)
