"""The names that columns have in use."""

import re
from collections.abc import Mapping, Sequence

from backend.contract.errors import QuestionError, shown
from backend.contract.question import MAX_OPTIONS, MIN_OPTIONS
from backend.questions.formats.table import folded

STEMS = ("question", "stem", "question_stem", "question_text")
LISTS = ("options", "choices")
ANSWERS = (
    "answer",
    "answerkey",
    "answer_key",
    "answer_index",
    "answer_idx",
    "correct",
    "correct_answer",
    "correct_option",
    "right",
    "cop",
    "gold",
    "target",
)
SUBJECTS = ("subject", "category", "topic")
OTHERS = ("id", "prompt", "label", "error_type", "question_id")
KNOWN = frozenset((*STEMS, *LISTS, *ANSWERS, *SUBJECTS, *OTHERS))
# option1, option_a, choice 3, opa, A: what stands before, and the place.
OPTION = re.compile(r"(?P<family>(?:option|choice|opt|op|answer)?[ _.-]?)(?P<place>[0-9]{1,2}|[a-j])")


def is_header(row: Sequence[str]) -> bool:
    """Whether a first line names columns: two known names, or one beside columns of options."""
    cells = [folded(cell) for cell in row]
    known = sum(cell in KNOWN for cell in cells)
    options = sum(bool(OPTION.fullmatch(cell)) for cell in cells)
    different = len(set(cells)) == len(cells) or known > 1
    return known >= 2 or (known == 1 and options >= 2 and different)


def option_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of options, a column each, in their order; none where no column has such a name.

    Raises QuestionError where one is missing, they do not begin with the first, or two series are there.
    """
    families: dict[str, dict[str, str]] = {}
    for name in columns:
        match = OPTION.fullmatch(folded(name))
        if match:
            families.setdefault(match["family"], {})[match["place"]] = name
    if len(families) > 1:
        raise QuestionError(
            f"Two series of columns look like options: {', '.join(_listed(family) for family in families.values())}. "
            "Map the columns by hand."
        )
    return _in_order(next(iter(families.values()))) if families else ()


def _in_order(places: Mapping[str, str]) -> tuple[str, ...]:
    for series in (tuple("abcdefghij"), (*"123456789", "10"), tuple("0123456789")):
        wanted = series[: len(places)]
        if MIN_OPTIONS <= len(places) <= MAX_OPTIONS and set(wanted) == set(places):
            return tuple(places[place] for place in wanted)
    raise QuestionError(
        f"The columns of options are {_listed(places)}; they must begin with the first, without a gap, "
        f"{MIN_OPTIONS} to {MAX_OPTIONS} of them. Map the columns by hand."
    )


def _listed(places: Mapping[str, str]) -> str:
    return ", ".join(shown(name, 40) for name in places.values())


def one_of(columns: Sequence[str], names: Sequence[str], what: str) -> str:
    """The one column that has one of `names`; empty where none has. Raises QuestionError where several have."""
    found = [name for name in columns if folded(name) in names]
    if len(found) > 1:
        raise QuestionError(
            f"Several columns could be the {what}: {', '.join(shown(name, 40) for name in found)}. "
            "Map the columns by hand."
        )
    return found[0] if found else ""
