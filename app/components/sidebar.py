"""The sidebar's first part: the model in use, and the pages in groups."""

import streamlit as st

from app.backend_client import backend
from app.components.notice import quiet
from app.navigation import GUIDE, MODEL_PAGE, PAGES
from app.state import current, write
from backend.contract.errors import LetterheadsError
from backend.contract.model import ModelSpec

GROUPS = {"Story": "Answer", "Attribution": "Cause", "Head": "One head", "Model": "Trust"}
"""The first page of each group, by its title; pages follow in their order."""


def show_sidebar() -> None:
    """Draw it. Streamlit's own list of pages would drop the choices from the address."""
    chosen, _ = current()
    params = write(chosen)
    with st.sidebar:
        _show_model(ModelSpec(chosen.model, chosen.dtype, chosen.quantization, chosen.device), params)
        for page in (*PAGES, GUIDE):
            if page["title"] in GROUPS:
                quiet(GROUPS[page["title"]], f"group {page['title']}")
            st.page_link(
                page["page"], label=page["title"], icon=page["icon"], query_params=params, width="stretch"
            )


def _show_model(spec: ModelSpec, params: dict[str, str]) -> None:
    """The name of the model chosen, a link to its page, and whether it is in memory."""
    client = backend()
    try:
        titles = {card.name: card.title for card in client.models()}
        loaded = client.loaded()
    except LetterheadsError:
        return  # the page itself says what is wrong
    st.page_link(
        MODEL_PAGE,
        label=_escaped(titles.get(spec.name, spec.name)),
        icon=":material/memory:",
        query_params=params,
        width="stretch",
    )
    if loaded is None:
        told = "Not in memory yet"
    elif loaded.name != spec.name:
        told = f"Not in memory; {titles.get(loaded.name, loaded.name)} is"
    else:
        told = f"In memory, {loaded.dtype}" + (
            "" if loaded.quantization == "none" else f", {loaded.quantization}"
        )
    quiet(told, "model in memory")


def _escaped(text: str) -> str:
    """A name for a label, where Streamlit reads markdown.

    >>> print(_escaped("a_b*"))
    a\\_b\\*
    """
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+-.!|<>~:$" else letter for letter in text)
