"""What one head compares: its queries and keys over many questions, in three dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from app.components.frame import open_page, show_question
from app.components.head_choice import head_link
from app.components.head_over_bank import head_over_bank
from app.components.job import result_of
from app.components.notice import quiet, sentence
from app.components.provenance import show_provenance
from app.components.question_table import question_table
from app.components.scene_choice import choose_scene, choose_vectors
from app.components.scene_viewer import camera_of, watch_scene
from app.figures.compression import compression_curve, kept_at
from app.figures.subspace import scene, stand_alone, variance_bars
from app.figures.subspace_points import directions, points_frame, products_right
from app.navigation import open_question
from app.selection import Selection
from app.subspace_names import KEY_PLACES
from backend.results.request import HeadRef
from backend.results.result import Result
from backend.service.client import Client

RANK = 3
MEANING = {
    "label": "Queries are coloured by the right letter, keys by their own label.",
    "letter": "Queries and keys are coloured by the right letter of their question.",
    "place": "Queries are coloured by where in the list the right option stands, keys by where they stand.",
    "verdict": "Queries are coloured by whether the model answers right, keys by whether theirs is the right option.",
    "subject": "Queries and keys are coloured by their question's subject.",
}


def show_separation(result: Result, head: HeadRef) -> None:
    scalars = result.scalars
    if scalars["separability"] is None:
        quiet(
            "All these questions have the same right letter, so there is nothing to tell apart.", "one letter"
        )
    else:
        sentence(
            f"From three components of {head}'s query the right letter can be told on ",
            f"{scalars['separability']:.0%}",
            f" of questions not fitted to; with the letters shuffled, on {scalars['separability_shuffled']:.0%}.",
            key="separation",
            lead=True,
        )
    left_out = scalars["left_out"]
    quiet(
        f"Three components hold {scalars['variance_q3']:.1%} of the queries' variance and "
        f"{scalars['variance_k3']:.1%} of the keys', over {len(scalars['questions'])} questions"
        + (
            f"; {len(left_out)} left out, the first because of: {left_out[0]['reason']}." if left_out else "."
        ),
        "variance",
    )


def show_scene(result: Result, head: HeadRef, selection: Selection) -> None:
    chosen, questions = selection.chosen, result.scalars["questions"]
    components = choose_scene(selection, len(result["basis"]))
    figure = scene(
        points_frame(result, components),
        chosen.colour,
        components,
        means=chosen.means,
        title=f"{head}'s queries and keys",
        directions=directions(result, components) if chosen.products else None,
        camera=camera_of("scene"),
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.plotly_chart(
            figure,
            key="scene",
            config={"toImageButtonOptions": {"filename": str(head), "scale": 2}, "displaylogo": False},
            alt="The queries and keys as points in three dimensions; the table holds their questions",
        )
        watch_scene("scene", lambda item: open_question(selection.bank.name, item + 1))
        st.caption(" ".join(scene_words(selection)))
        if chosen.products:
            show_products(result, components, selection)
        st.download_button(
            "Save as HTML",
            lambda: stand_alone(figure),
            f"{head}.html",
            "text/html",
            on_click="ignore",
            icon=":material/download:",
            help="One file that turns in any browser, without a network. The camera in the picture's corner saves PNG.",
        )
    with right:
        st.markdown(f"**Its {len(questions)} questions**")
        question_table(questions, selection.bank.name, "questions")


def scene_words(selection: Selection) -> Iterator[str]:
    """The picture's caption, sentence by sentence."""
    chosen = selection.chosen
    yield MEANING[chosen.colour]
    yield "Drag to turn it, click a point to open its question."
    yield (
        f"Queries are the final token's, keys are read at {KEY_PLACES[chosen.at]}, "
        f"{'after' if chosen.rotated else 'before'} the rotary embedding; each about their mean, and keys drawn to "
        "the queries' scale."
    )
    if not chosen.stacked:
        yield "Queries and keys stand in dimensions of their own, so that a query near a key means nothing."


def show_products(result: Result, components: Sequence[int], selection: Selection) -> None:
    """What the lines are, and how far what is pictured decides."""
    pictured, whole = products_right(result, components)
    sentence(
        "The further a query lies along a label's line, the larger its product with that label's mean key, about "
        "the means; longer lines count for more. By the pictured dimensions alone that product is largest for the "
        "right label's key on ",
        f"{pictured:.0%}",
        f" of questions; by the whole vectors, means included, on {whole:.0%}. "
        + (
            "Scaled, the product is what attention compares."
            if selection.chosen.rotated
            else "Before the rotary embedding it is not yet what attention compares: queries and keys are still to be "
            "turned by their positions."
        ),
        key="products",
    )


def show_compression(client: Client, selection: Selection, head: HeadRef, vectors: Mapping[str, Any]) -> None:
    st.subheader("Are so few dimensions enough?")
    st.markdown(
        "Queries and keys are replaced by their mean and what a few components hold, fitted on one half of the "
        "questions, and the model is run with them on the other half. It takes minutes."
    )
    kept = {name: value for name, value in vectors.items() if name in ("at", "keep")}
    request = selection.ask_bank("compression", head=[head.layer, head.head], **kept)
    result = result_of(client, request, "compression", start="Compress and run")
    if result is None:
        return
    loss, share = kept_at(result, RANK)
    whole, ablated = float(result["loss_model"]), float(result["loss_ablated"])
    sentence(
        f"With {RANK} dimensions the loss is ",
        f"{loss:.3f} nats",
        f"; it is {whole:.3f} with the whole head and {ablated:.3f} without it. "
        + (
            "So taking the head away costs nothing here, and this says little of its dimensions."
            if share is None
            else f"So they keep {share:.0%} of what the head contributes."
        ),
        key="compression",
        lead=True,
    )
    figure = compression_curve(result, f"Loss when {head}'s queries and keys keep few dimensions")
    st.plotly_chart(figure, key="compression", alt="Loss against the number of dimensions kept")
    st.caption("Thin lines: random subspaces of the same rank. Rank 0 leaves the mean alone.")
    show_provenance(result)


client, selection = open_page(
    "What does this head compare?",
    "A head attends where its query fits a key. Over many questions, here are the final token's queries and the "
    "labels' keys of one head, in the dimensions in which they differ most: where they fall into one group for each "
    "letter, that is what the head compares.",
)
show_question(selection)
head = head_over_bank(client, selection)
if head is not None:
    st.header(str(head))
    with st.container(horizontal=True, vertical_alignment="center"):
        vectors = choose_vectors(selection)
        head_link(head)
    result = result_of(
        client, selection.ask_bank("subspace", head=[head.layer, head.head], **vectors), "subspace"
    )
    if result:
        show_separation(result, head)
        show_scene(result, head, selection)
        st.plotly_chart(
            variance_bars(result["q_variance"], result["k_variance"]),
            key="variance",
            alt="Bars of the share of variance along each component",
        )
        show_provenance(result)
        show_compression(client, selection, head, vectors)
