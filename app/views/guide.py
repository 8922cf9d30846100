"""The documentation: what each page shows and how to read it, and the methods behind it."""

import streamlit as st

from app.components.notice import warning_box
from app.documents import FIRST, documents, in_app
from app.navigation import GUIDE, PAGES
from app.state import current, write
from backend.contract.errors import shown

ADDRESS = "guide"


def chosen_document() -> str:
    """The document that the address names; the index where it names none, or one that there is not."""
    name = st.query_params.get("of", FIRST)
    if name in documents():
        return name
    warning_box([f"There is no guide {shown(name)}. The list of all guides is shown instead."], "guide")
    return FIRST


def links(name: str, choices: dict[str, str]) -> None:
    """Back to the page that this guide is about, and to all guides."""
    with st.container(horizontal=True):
        for page in PAGES:
            if page["page"].endswith(f"/{name}.py"):
                st.page_link(
                    page["page"], label=f"Open {page['title']}", icon=page["icon"], query_params=choices
                )
        if name != FIRST:
            st.page_link(
                GUIDE["page"], label="All guides", icon=GUIDE["icon"], query_params={"of": FIRST, **choices}
            )


name, choices = chosen_document(), write(current()[0])
links(name, choices)
st.markdown(in_app(name, ADDRESS, choices))
