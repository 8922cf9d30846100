"""Where the final token of each head looks: all heads at a glance, then one, token by token."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.components.cost import result_at_price
from app.components.frame import open_page, show_question
from app.components.head_choice import choose_reading, existing_head, head_link
from app.components.heatmap import head_grid, show_heatmap
from app.components.job import result_of
from app.components.notice import quiet, sentence, warning_box
from app.components.provenance import show_provenance
from app.components.scope import choose_scope
from app.components.tokens import tokens_by_value
from app.figures.kinds import Told, mass
from app.figures.net import strongest_head
from app.selection import Selection
from app.state import bound, change
from backend.contract.errors import shown
from backend.contract.head import HeadRef
from backend.contract.result import Result

Values = NDArray[np.float32]
MEASURES = {
    "right_share": "Share of the attention on labels that is on the right one",
    "right_top": "Share of questions whose most attended token is the right label",
    "right_top_among_labels": "Share of questions whose most attended label is the right one",
}


def choose_role(kinds: list[str], selection: Selection, name: Callable[[str], str] = str) -> str:
    """Draw the choice of a role; the role whose share of the attention is shown, the right label's by default."""
    role = selection.chosen.role
    fallback = next((kind for kind in ("right label", "said label", "label") if kind in kinds), kinds[0])
    if role and role not in kinds:
        warning_box(
            [f"There are no tokens of the kind {shown(role)} here; {fallback} is shown instead."], "role"
        )
    chosen = role if role in kinds else fallback
    with row:
        st.selectbox("Attention on", kinds, format_func=name, width=440, **bound("role", chosen))
        choose_reading(selection)
    return chosen


def show_bank(result: Result, selection: Selection) -> HeadRef:
    kinds = list(result.ticks["role"])
    role = choose_role([*kinds, *MEASURES], selection, lambda kind: MEASURES.get(kind, f"{kind}: mean share"))
    values = result[role] if role in MEASURES else result["roles"][..., kinds.index(role)]
    title = MEASURES.get(role, f"Mean attention of the final token on: {role}")
    most = " has the largest of these shares: " if role in MEASURES else f" attends most to {role} tokens: "
    title = f"{title}, {result.scalars['count']} questions"
    return show_grid(result, title, "share", values, most, selection)


def show_one(result: Result, selection: Selection) -> HeadRef:
    roles, right = result.scalars["roles"], selection.question.answer
    said = str(result.scalars["predicted"])
    if right is None:
        quiet(f"No option is marked as right: said is {said}, the letter that the model says.", "letter")
    told = Told(selection.labels.index(said) if right is None else right, is_right=right is not None)
    role = choose_role(told.kinds(roles), selection)
    rows, unit = read_rows(result, selection)
    title, values = f"Attention of the final token on: {role}", mass(rows, roles, told, role)
    return show_grid(result, title, unit, values, f" attends most to {role} tokens: ", selection)


def show_grid(
    result: Result, title: str, unit: str, values: Values, does: str, selection: Selection
) -> HeadRef:
    """Draw all heads with one marked, and return that one: the chosen head, or the one with the most attention.

    `does` says of the latter what its value is.
    """
    most = strongest_head(values)
    figure = f"{values[most]:.0%}" if unit == "share" else f"{values[most]:.2g}, attention times length"
    sentence("Of all heads ", str(HeadRef(*most)), does, figure, ".", key="lead", lead=True)
    head = existing_head(selection, values.shape) or HeadRef(*most)
    end = 1.0 if unit == "share" else None
    grid = head_grid(title, unit, values, diverging=False, marked=[(head.layer, head.head)], end=end)
    show_heatmap(
        grid, "attention heads", on_pick=lambda layer, at: change(head=HeadRef(layer, at)), of=result
    )
    st.caption(
        "Each cell is a head. The stronger its colour, the more attention. Click a cell to see that head below."
    )
    return head


def read_rows(result: Result, selection: Selection) -> tuple[Values, str]:
    """The final rows `[layer, head, position]`, plain or value-weighted, and their unit."""
    if selection.chosen.reading == "plain":
        return result["final"], "share"
    return result["final_value_weighted"], "norm"


def show_head(result: Result, head: HeadRef, selection: Selection) -> None:
    """Draw one head's attention on the chosen question, token by token."""
    rows, unit = read_rows(result, selection)
    tokens_by_value(
        f"{head} on the chosen question: where its final token looks ({selection.chosen.reading})",
        result.scalars,
        rows[head.layer, head.head],
        unit,
        "attended",
        diverging=False,
        of=result,
    )
    st.caption(
        "The stronger the colour, the more the final token attends there. Point at a token for its value."
    )
    head_link(head)


client, selection = open_page(
    "Where do the heads look?",
    "The model answers after the last token. There each head reads from all tokens so far, and its attention says from "
    "which ones. Choose a kind of token, and see which heads look at it.",
    guide="attention",
)
if selection.chosen.scope == "question":
    show_question(selection)
row = st.container(horizontal=True, vertical_alignment="bottom")
over_bank = choose_scope(client, selection, row)
request = selection.ask_bank("attention") if over_bank else selection.ask("attention")
result = result_at_price(
    client, request, "attention", "Run the questions" if over_bank else "Run the question"
)
if result:
    head = (show_bank if over_bank else show_one)(result, selection)
    show_provenance(result)
    own = result_of(client, selection.ask("attention"), "attention of one") if over_bank else result
    if own:
        show_head(own, head, selection)
