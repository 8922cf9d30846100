"""The colour of each letter, the same in all pictures."""

from app.figures.style import COLOURS


def letter_colour(index: int) -> str:
    """The colour of the letter with this index.

    >>> letter_colour(0) == letter_colour(len(COLOURS))
    True
    """
    return COLOURS[index % len(COLOURS)]
