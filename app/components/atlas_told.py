"""What the page Heads says in words: how well the model answers, which classes there are, what was left out."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.components.notice import cut, quiet, sentence, warning_box
from backend.contract.result import Result
from backend.results.head_classes import CLASSES

FEW = 20
NAMED = 6
LISTED = 30


def show_answers(result: Result) -> None:
    """First of all whether the model answers above chance; a line of small print otherwise."""
    scalars = result.scalars
    accuracy = scalars["accuracy"]
    text = (
        f"It answers {accuracy['value']:.0%} of {scalars['count']} questions right by letter "
        f"({accuracy['low']:.0%} to {accuracy['high']:.0%}; chance {scalars['chance']:.0%})."
    )
    if scalars["at_chance"]:
        warning_box(
            [
                f"The model answers at chance. {text} Its heads are drawn all the same, but what they write does not "
                "carry the answer."
            ],
            "chance",
        )
    else:
        quiet(text, "answers")


def show_limits(result: Result) -> None:
    """What the reader should know of the questions."""
    scalars = result.scalars
    counts = scalars.get("right_letters", {})
    never = [letter for letter, count in counts.items() if not count]
    lines = []
    if scalars["count"] < FEW:
        lines.append(
            f"Only {scalars['count']} questions: the intervals are wide, and each half has half of them. "
            "Use 24 or more."
        )
    if never:
        lines.append(
            f"{_and(never)} {'is' if len(never) == 1 else 'are'} right on no question. Figures by letter are missing "
            "there, and classes are told from the other letters."
        )
    if scalars["options"] % 1:
        lines.append(
            f"The questions have different numbers of options, {scalars['options']:.2f} on average. Shares are of "
            "each question's own labels."
        )
    warning_box(lines, "limits")


def show_left_out(result: Result) -> None:
    """The questions without effects, by name."""
    left_out = result.scalars["without_effects"]
    if not left_out:
        return
    known = result.scalars["with_effects"]
    with st.expander(f"{len(left_out)} questions have no effects: effects are means over the other {known}"):
        text = "\n".join(f"{cut(one['stem'])} {one['reason']}" for one in left_out[:LISTED])
        more = len(left_out) - LISTED
        quiet(text + (f"\nand {more} more" if more > 0 else ""), "left out")


def show_classes(frame: pd.DataFrame, keep: str) -> None:
    """How many heads are of each class, and their names."""
    which = "answered right" if keep == "right" else "all"
    held = {name: frame.index[frame["classes"].str.contains(name, regex=False)].tolist() for name in CLASSES}
    held = {name: heads for name, heads in held.items() if heads}
    classed = int((frame["classes"] != "none").sum())
    if not held:
        sentence("No head of ", str(len(frame)), " has a class in both halves.", key="classes", lead=True)
        return
    parts: list[str] = [f"Of {len(frame):,} heads, {classed} have a class ({which} questions). "]
    for name, heads in held.items():
        parts += [name, f": {_named(frame, heads, letters='letter' in name)}. "]
    sentence(*parts, key="classes", lead=True)
    against = frame.index[frame["negative"]].tolist()
    if against:
        quiet(f"Negative heads, which write against the right letter: {_named(frame, against)}.", "negative")


def _named(frame: pd.DataFrame, heads: Sequence[str], *, letters: bool = False) -> str:
    """The heads with the largest effects first, with the letter of a single or fixed letter head: `L22H0 (C)`."""
    size = frame.loc[list(heads), ["net", "total"]].abs().max(axis=1)
    first = list(size.sort_values(ascending=False).index)[:NAMED]
    more = len(heads) - len(first)
    of = frame["letter"]
    told = [f"{head} ({of[head]})" if letters and of[head] else head for head in first]
    return ", ".join(told) + (f" and {more} more" if more else "")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
