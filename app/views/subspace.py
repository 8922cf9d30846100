"""What one head compares: its queries and keys over many questions, in three dimensions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from app.components.cost import result_at_price, with_duration
from app.components.frame import open_page, show_question
from app.components.head_choice import head_link
from app.components.head_over_bank import head_over_bank
from app.components.job import result_of
from app.components.notice import quiet, sentence, warning_box
from app.components.provenance import show_provenance
from app.components.questions_used import over, show_used
from app.components.scene_choice import choose_also, choose_vectors
from app.components.subspace_picture import show_picture
from app.components.take_away import show_figure
from app.figures.compression import compression_curve
from app.figures.subspace import variance_bars
from app.mutated_prompt import mutated_prompt
from app.readers import ALSO
from app.selection import Selection
from backend.contract.client import Client
from backend.contract.errors import QuestionError
from backend.contract.head import HeadRef
from backend.contract.result import Result


def show_separation(result: Result, head: HeadRef) -> None:
    scalars = result.scalars
    if scalars["separability"] is None:
        quiet(
            "All these questions have the same right letter, so there is nothing to tell apart.", "one letter"
        )
    else:
        sentence(
            f"A linear classifier that reads three components of {head}'s query finds the right letter on ",
            f"{scalars['separability']:.0%}",
            " of questions that it was not fitted to; with the letters dealt at random, on "
            f"{scalars['separability_shuffled']:.0%}.",
            key="separation",
            lead=True,
        )
    quiet(
        f"Three components hold {scalars['variance_q3']:.1%} of the queries' variance and "
        f"{scalars['variance_k3']:.1%} of the keys', over {over(scalars)}",
        "variance",
    )


def under_mutations(
    client: Client, selection: Selection, head: HeadRef, vectors: Mapping[str, Any], options: int
) -> dict[str, Result]:
    """The same head's results under each chosen mutation, by its title. Each question has `options` options."""
    found, problems = {}, []
    questions = client.questions(selection.bank.name)
    for name in selection.chosen.also:
        try:
            spec = mutated_prompt(name, selection.prompt, questions, options)
        except QuestionError as error:
            problems.append(str(error))
            continue
        changed = replace(selection, prompt=spec)
        request = changed.ask_bank("subspace", head=[head.layer, head.head], **vectors)
        result = result_of(client, request, f"subspace {name}")
        if result is not None:
            found[ALSO[name]] = result
    warning_box(problems, "also")
    return found


def show_compression(client: Client, selection: Selection, head: HeadRef, vectors: Mapping[str, Any]) -> None:
    st.subheader("Are so few dimensions enough?")
    st.markdown(
        "Queries and keys are replaced by their mean plus what a few components hold. The components are fitted on one "
        "half of the questions, and the model is run with them on the other half."
    )
    kept = {name: value for name, value in vectors.items() if name in ("at", "keep")}
    request = selection.ask_bank("compression", head=[head.layer, head.head], **kept)
    start = with_duration(client, request, "Compress and run")
    result = result_of(client, request, "compression", start=start)
    if result is None:
        return
    rank, share = int(result.scalars["rank"]), result.scalars["kept_share"]
    loss = float(result["loss"][result["rank"].tolist().index(rank)])
    whole, ablated = float(result["loss_model"]), float(result["loss_ablated"])
    sentence(
        f"With {rank} dimensions the loss is ",
        f"{loss:.3f} nats",
        f"; with the whole head it is {whole:.3f}, with the head at its mean {ablated:.3f}. "
        + (
            "So taking the head away costs nothing that can be distinguished from chance, and this says little about "
            "its dimensions."
            if share is None
            else f"So they keep {share:.0%} of what the head contributes."
        ),
        key="compression",
        lead=True,
    )
    figure = compression_curve(result, f"Loss when {head}'s queries and keys keep few dimensions")
    show_figure(figure, result, key="compression", alt="Loss against the number of dimensions kept")
    st.caption("Thin lines are random subspaces of the same rank. Rank 0 keeps the mean only.")
    show_used(result)
    show_provenance(result)


client, selection = open_page(
    "What does this head compare?",
    "A head attends where its query fits a key. Here are the final token's queries and the labels' keys of one head, "
    "over many questions, in the directions in which they differ most. If they fall into one group for each letter, "
    "the head may compare letters, or places in the list.",
    guide="subspace",
)
show_question(selection)
head = head_over_bank(client, selection)
if head is not None:
    st.header(str(head))
    with st.container(horizontal=True, vertical_alignment="center"):
        vectors = choose_vectors(selection)
        head_link(head)
    request = selection.ask_bank("subspace", head=[head.layer, head.head], **vectors)
    result = result_at_price(client, request, "subspace", "Collect queries and keys")
    if result:
        show_separation(result, head)
        choose_also(selection)
        others = under_mutations(client, selection, head, vectors, len(result.scalars["labels"]))
        show_picture(result, others, head, selection)
        show_figure(
            variance_bars(result["q_variance"], result["k_variance"]),
            result,
            key="variance",
            alt="Bars of the share of variance along each component",
        )
        show_provenance(result)
        show_compression(client, selection, head, vectors)
