"""The colours of tokens by their role, the same on all pages."""

# Roles in the legend's order. For each: the index of its colour in the theme, and how much of it, in %.
TINTS = (
    ("prelude", 0, 0),
    ("shot", 5, 18),
    ("stem", 4, 30),
    ("bracket", 1, 14),
    ("label", 1, 45),
    ("option", 0, 30),
    ("newline", 3, 35),
    ("suffix", 2, 18),
    ("final", 2, 50),
)


def kind_of(role: str) -> str:
    """A role without its number.

    >>> kind_of("option 2")
    'option'
    """
    return role.split(" ")[0]
