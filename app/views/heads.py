"""Every head over a bank: its class, and the figures that speak for it."""

import numpy as np
import pandas as pd
import streamlit as st

from app.components.atlas_choice import (
    choose_atlas,
    choose_axes,
    choose_listed,
    choose_sample,
    choose_thresholds,
)
from app.components.atlas_told import show_answers, show_classes, show_left_out, show_limits
from app.components.cost import start_button
from app.components.frame import open_page
from app.components.heatmap import Heatmap, show_heatmap
from app.components.job import Draw, result_of
from app.components.next_page import end_page
from app.components.notice import quiet
from app.components.provenance import show_provenance
from app.components.take_away import checked, show_figure
from app.figures.atlas import AXES, CATEGORIES, NONE, atlas_frame, atlas_scatter, told, verdicts_of
from app.navigation import open_head
from app.selection import Selection
from backend.contract.head import HeadRef
from backend.contract.result import Result
from backend.results.head_classes import Thresholds, Verdicts

START = "Read every head"
# The table begins with these columns; then come the others.
COLUMNS = ("net", "total", "direct", "label_mass", "right_share", "gap", "content", "last_mass", "leader")


def show_map(result: Result, frame: pd.DataFrame, verdicts: Verdicts, selection: Selection) -> None:
    head, (layers, heads) = selection.chosen.head, verdicts.negative.shape
    main = verdicts.main
    grid = Heatmap(
        title="The class of each head",
        unit="",
        values=np.where(main < 0, np.nan, main).astype(np.float32),
        rows=[str(layer) for layer in range(layers)],
        columns=[str(number) for number in range(heads)],
        row_axis="layer",
        column_axis="head",
        range=(0.0, 1.0),
        heads=True,
        marked=[(head.layer, head.head)] if head and head.layer < layers and head.head < heads else [],
        categories=CATEGORIES,
        texts=told(frame),
    )
    show_heatmap(grid, "classes", on_pick=open_head, of=checked(result))
    st.caption(
        "Each cell is a head. Letter and colour are its class. Of several classes the first in the list is drawn; the "
        "text over the cell has all. An empty cell has no class. Click a cell to open that head."
    )


def show_scatter(result: Result, frame: pd.DataFrame, selection: Selection) -> None:
    across, up, shade = choose_axes(selection, [name for name in AXES if name in frame])

    def picked() -> None:
        for point in st.session_state["atlas"]["selection"]["points"]:
            head = HeadRef.parse(point["text"])
            open_head(head.layer, head.head)

    show_figure(
        atlas_scatter(frame, across, up, shade),
        result,
        key="atlas",
        on_select=picked,
        selection_mode="points",
        alt=f"Scatter of all heads: {AXES[up].title} against {AXES[across].title}",
    )
    st.caption("Each mark is a head. Its symbol is its class. Click a mark to open that head.")


def show_table(frame: pd.DataFrame, selection: Selection) -> None:
    only = choose_listed(selection)
    shown = frame
    if only:
        held = frame["classes"].str.split(", ").map(lambda names: bool({*names} & {*only}))
        shown = frame[held | (frame["negative"] & ("negative" in only))]
    names = [*COLUMNS, *(name for name in AXES if name in frame and name not in COLUMNS)]
    size = shown[["net", "total"]].abs().max(axis=1) + 1e3 * (shown["classes"] != NONE)
    shown = shown.loc[size.sort_values(ascending=False).index, ["classes", "letter", "negative", *names]]

    def picked() -> None:
        for row in st.session_state["heads table"]["selection"]["rows"]:
            head = HeadRef.parse(str(shown.index[row]))
            open_head(head.layer, head.head)

    st.dataframe(
        shown,
        key="heads table",
        on_select=picked,
        selection_mode="single-row",
        height=420 if len(shown) > 11 else "content",
        column_config={"_index": "head"}
        | {name: st.column_config.NumberColumn(AXES[name].named, format="%+.3f") for name in names[:-1]}
        | {"layer": st.column_config.NumberColumn(format="%d")},
        alt="All heads with their classes and figures",
    )
    st.caption(
        f"{len(shown):,} of {len(frame):,} heads. A click on a column's name sorts. Select a row to open that head."
    )


def picture(selection: Selection, thresholds: Thresholds, keep: str) -> Draw:
    """The function that draws what is known so far."""

    def draw(result: Result | None, whole: bool) -> None:
        if result is None:
            return
        if not whole:
            quiet(f"So far {result.scalars['count']} questions. The intervals are drafts.", "so far")
        show_answers(result)
        show_limits(result)
        verdicts = verdicts_of(result, keep, thresholds)
        frame = atlas_frame(result, verdicts, keep)
        show_classes(frame, keep)
        show_map(result, frame, verdicts, selection)
        if whole:
            show_scatter(result, frame, selection)
            show_table(frame, selection)
            show_left_out(result)

    return draw


client, selection = open_page(
    "What does each head do?",
    "Every head of the model over a bank of questions: where its final token looks, what it writes, and how it acts. "
    "Heads that pass a test in **both halves** of the questions are named. Five names are the paper's; the tests, "
    "the thresholds and two more names are **ours**.",
    guide="heads",
)
request = choose_atlas(client, selection)
if request is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    end_page("Heads")
keep = choose_sample(selection)
thresholds = choose_thresholds(selection)
place = st.container()
start = start_button(client, request, START)
with place:
    result = result_of(
        client,
        request,
        "heads",
        draw=picture(selection, thresholds, keep),
        start=START if start is None else start,
    )
if result:
    show_provenance(result)
