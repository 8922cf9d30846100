"""What to look at next, at the end of each page."""

from typing import NoReturn

import streamlit as st

from app.navigation import PAGES
from app.state import current, write

NEXT = {
    "Story": ("Patching", "Which activations change the answer?"),
    "Question": ("Attribution", "Which heads and MLPs wrote the letter?"),
    "Attribution": ("Attention", "Where do these heads look?"),
    "Attention": ("Patching", "Which of them change the answer?"),
    "Patching": ("Patch Lens", "What if several are replaced at once, by hand?"),
    "Patch Lens": ("Effects", "Do heads act by what they write, or through others?"),
    "Effects": ("Heads", "What does each head do, over many questions?"),
    "Heads": ("Paths", "Who feeds a head, and whom does it feed?"),
    "Paths": ("Circuit", "Which heads and MLPs are enough for the answer?"),
    "Circuit": ("Head", "What does one head write and read, token by token?"),
    "Head": ("Subspace", "What does this head compare?"),
    "Subspace": ("Mutations", "Does the head look for a place, or a letter?"),
    "Mutations": ("Model", "Does the model answer by letter at all?"),
    "Model": ("Drift", "Do findings survive quantization?"),
    "Drift": ("Question", "What does the model do with another question?"),
}
"""For each page by its title the next one, and what it answers."""


def next_link(title: str) -> None:
    """A link to the page after the one of this title, with the same choices; nothing after a page without one."""
    if title not in NEXT:
        return
    then, question = NEXT[title]
    page = next(page for page in PAGES if page["title"] == then)
    st.divider()
    st.page_link(
        page["page"],
        label=f"Next, {then}: {question}",
        icon=":material/arrow_forward:",
        query_params=write(current()[0]),
    )


def end_page(title: str) -> NoReturn:
    """End the page of this title here, because it waits for a choice."""
    next_link(title)
    st.stop()
