"""The tour for newcomers, as links."""

import streamlit as st

from app.tour import tour


def show_tour(model: str) -> None:
    """Draw the five steps, folded away."""
    with st.expander("New here? A tour in five steps", icon=":material/tour:"):
        for number, step in enumerate(tour(model), start=1):
            st.page_link(
                step.page,
                label=f"{number}. {step.title}",
                icon=":material/arrow_forward:",
                query_params=step.params,
            )
            st.caption(" ".join(step.says))
