"""Controls for a bank's questions: filters, search, the list, previous and next."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.bank_choice import choose_bank
from app.components.notice import quiet
from app.components.uploads import manage_uploads
from app.selection import Selection
from app.state import bound, change, current
from backend.contract.client import Client
from backend.contract.question import Question

ANY = ""


def matching(questions: Sequence[Question], subject: str, right: str, search: str) -> list[int]:
    """The numbers, from 1, of the questions that pass the filters. An empty filter lets all pass.

    `right` is the right option's number, from 1; `search` is looked for in stem and options.
    """
    wanted = search.casefold()
    return [
        number
        for number, question in enumerate(questions, start=1)
        if (not subject or question.subject == subject)
        and (not right or (question.answer is not None and str(question.answer + 1) == right))
        and (not wanted or any(wanted in text.casefold() for text in (question.stem, *question.options)))
    ]


def pick_question(client: Client, selection: Selection) -> None:
    """Draw the controls. They write the question into the address."""
    questions = client.questions(selection.bank.name)
    numbers = _filters(client, selection, questions)
    item = selection.chosen.item
    listed = numbers if item in numbers else [item, *numbers]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox(
        f"Question ({len(numbers)} of {len(questions)})",
        listed,
        format_func=lambda number: f"{number} · {' '.join(questions[number - 1].stem.split())}",
        **bound("item", item),
    )
    index = listed.index(item)
    for label, step in (("Previous", -1), ("Next", 1)):
        target = listed[(index + step) % len(listed)]
        row.button(
            label,
            key=f"{label} question",
            on_click=change,
            kwargs={"item": target},
            disabled=len(listed) < 2,
        )
    if not numbers:
        quiet("No question passes these filters. The question chosen before stays.", "no question")


def _filters(client: Client, selection: Selection, questions: Sequence[Question]) -> list[int]:
    chosen = selection.chosen
    subjects = [ANY, *selection.bank.subjects]
    subject = chosen.subject if chosen.subject in subjects else ANY
    letters = list(dict.fromkeys(question.answer for question in questions if question.answer is not None))
    rights = [ANY, *(str(letter + 1) for letter in sorted(letters))]
    right = chosen.right if chosen.right in rights else ANY
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        choose_bank(client, selection, width=205)
    row.selectbox(
        "Subject",
        subjects,
        format_func=lambda name: name or "all subjects",
        width=190,
        **_bound_filter("subject", subject, questions),
    )
    row.selectbox(
        "Right option",
        rights,
        format_func=lambda number: f"option {number}" if number else "any",
        width=110,
        **_bound_filter("right", right, questions),
    )
    row.text_input(
        "Search", placeholder="words in it", width=150, **_bound_filter("search", chosen.search, questions)
    )
    with row.popover("Uploads", help="Upload a bank of your own, or delete it"):
        manage_uploads(client, selection)
    return matching(questions, subject, right, chosen.search)


def _bound_filter(name: str, value: str, questions: Sequence[Question]) -> dict[str, Any]:
    """As state.bound. If the current question does not pass the filters, the first that passes is chosen."""

    def take() -> None:
        change(**{name: st.session_state[name]})
        chosen, _ = current()
        numbers = matching(questions, chosen.subject, chosen.right, chosen.search)
        if numbers and chosen.item not in numbers:
            change(item=numbers[0])

    st.session_state[name] = value
    return {"key": name, "on_change": take}
