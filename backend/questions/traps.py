"""Questions that catch a model which looks at one option at a time, or at its letter only. Ours; no public set.

Each bank has 32 questions, each letter is right in 8 of them. What is right follows from small tables of facts, so
that a test can work it out again.
"""

from backend.contract.question import Question
from backend.questions.copying import CAPITALS

PLACES = 4
COUNT = 32

KINDS = {
    "a mammal": "dog, whale, bat, horse, mouse, dolphin, lion, goat",
    "a bird": "eagle, penguin, owl, duck, sparrow, ostrich, swan, crow",
    "a fish": "salmon, shark, tuna, trout, herring, cod, eel, carp",
    "an insect": "ant, bee, beetle, fly, moth, wasp, cricket, termite",
    "a metal": "iron, gold, copper, silver, zinc, lead, nickel, tin",
    "a fruit": "apple, pear, banana, cherry, grape, mango, plum, peach",
    "a musical instrument": "violin, flute, clarinet, piano, trumpet, guitar, harp, cello",
    "a country": "France, Japan, Brazil, Egypt, Norway, Kenya, Peru, India",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
PLACE_NAMES = ("first", "second", "third", "fourth")
SUBJECTS = {
    "both": "kinds of things",
    "negation": "kinds of things",
    "statements": "world capitals",
    "one-word": "world capitals",
    "arithmetic": "arithmetic",
    "order": "days and months",
}

Questions = tuple[Question, ...]


def both() -> Questions:
    """Two things, `both of these`, `none of these`: an option is right or wrong only together with the others."""
    questions = []
    for index in range(COUNT):
        kind, inside = _kind(index)
        _, outside = _kind(index + 3)
        round_, answer = divmod(index, PLACES)
        first = inside[round_] if answer in (0, 2) else outside[round_]
        second = inside[-1 - round_] if answer in (1, 2) else outside[-1 - round_]
        if first == second:
            second = (inside if answer == 2 else outside)[round_ - 1]
        options = (first, second, "both of these", "none of these")
        questions.append(Question(f"Which of these is {kind}?", options, answer, SUBJECTS["both"]))
    return tuple(questions)


def negation() -> Questions:
    """`Which of these is NOT a bird?`: three options fit the word that stands out, the right one does not."""
    questions = []
    for index in range(COUNT):
        kind, inside = _kind(index)
        _, outside = _kind(index + 1 + index // len(KINDS))
        options = [inside[(index + step) % len(inside)] for step in range(PLACES - 1)]
        options.insert(_place(index), outside[index % len(outside)])
        questions.append(
            Question(f"Which of these is NOT {kind}?", tuple(options), _place(index), SUBJECTS["negation"])
        )
    return tuple(questions)


def statements() -> Questions:
    """Two statements, true or false each: the options name all four cases, in an order that turns."""
    pairs = _capitals()
    cases = [(True, True), (True, False), (False, True), (False, False)]
    questions = []
    for index in range(COUNT):
        one, other = pairs[index % len(pairs)], pairs[(index + 7) % len(pairs)]
        wrong = pairs[(index + 13) % len(pairs)][1], pairs[(index + 3) % len(pairs)][1]
        turn = index % PLACES
        order = cases[turn:] + cases[:turn]
        case = cases[(index // PLACES) % PLACES]
        said = [
            f"The capital of {country} is {capital if true else false}."
            for (country, capital), false, true in zip((one, other), wrong, case, strict=True)
        ]
        options = tuple(f"{first}, {second}" for first, second in order)
        stem = f"Statement 1: {said[0]} Statement 2: {said[1]} Are they true?"
        questions.append(Question(stem, options, order.index(case), SUBJECTS["statements"]))
    return tuple(questions)


def one_word() -> Questions:
    """Four sentences that differ in one word."""
    pairs = _capitals()
    questions = []
    for index in range(COUNT):
        country, capital = pairs[index % len(pairs)]
        # Steps that differ from each other and from 0 at the table's length.
        cities = [pairs[(index + step + index // len(pairs)) % len(pairs)][1] for step in (3, 8, 13)]
        cities.insert(_place(index), capital)
        options = tuple(f"The capital of {country} is {city}." for city in cities)
        questions.append(Question("Which sentence is true?", options, _place(index), SUBJECTS["one-word"]))
    return tuple(questions)


def arithmetic() -> Questions:
    """Sums, differences and products; the wrong numbers are near the right one."""
    questions = []
    for index in range(COUNT):
        one, other = 13 + 7 * index % 40, 4 + 5 * index % 9
        sign, value = (("+", one + other), ("-", one - other), ("times", one * other))[index % 3]
        near = [value + step for step in ((-2, -1, 1), (-1, 1, 10), (-10, 1, 2), (-1, 2, 10))[index % 4]]
        near.insert(_place(index), value)
        questions.append(
            Question(
                f"What is {one} {sign} {other}?", tuple(map(str, near)), _place(index), SUBJECTS["arithmetic"]
            )
        )
    return tuple(questions)


def order() -> Questions:
    """A list that begins elsewhere than it usually does; what has this place in the usual list is an option too."""
    questions = []
    for index in range(COUNT):
        names: tuple[str, ...] = DAYS if index % 2 else MONTHS
        begin = 2 + index // 4 % (len(names) - 4)
        place = (index // 2) % len(PLACE_NAMES)
        listed = [names[(begin + step) % len(names)] for step in range(len(PLACE_NAMES) + 1)]
        right, usual = listed[place], names[place]
        others = [name for name in dict.fromkeys([usual, *listed, *names]) if name != right]
        options = others[: PLACES - 1]
        options.insert(_place(index), right)
        stem = f"A list reads: {', '.join(listed)}. Which is the {PLACE_NAMES[place]} in the list?"
        questions.append(Question(stem, tuple(options), _place(index), SUBJECTS["order"]))
    return tuple(questions)


def _place(index: int) -> int:
    """Where the right option stands: every place in turn, in an order that changes."""
    return (index + index // PLACES) % PLACES


def _kind(index: int) -> tuple[str, tuple[str, ...]]:
    name = tuple(KINDS)[index % len(KINDS)]
    return name, tuple(KINDS[name].split(", "))


def _capitals() -> list[tuple[str, str]]:
    return [(country, capital) for country, capital in (pair.rsplit(" ", 1) for pair in CAPITALS.split(", "))]
