"""Patch Lens: what was put from one run into the other; the address holds it."""

from collections.abc import Sequence

import streamlit as st

from app.components.notice import quiet
from app.components.patch_answers import NAMES
from app.figures.lens_grids import Letters, apart_from, in_words
from app.readers import MAX_PATCHES
from app.state import change, current
from backend.contract.result import Result
from backend.contract.stream_patch import StreamPatch


def chosen_patches() -> list[StreamPatch]:
    """Those of the address, in the order in which they were made."""
    return [StreamPatch.parse(text) for text in current()[0].patches]


def add_patch(patch: StreamPatch) -> None:
    made = [*current()[0].patches]
    if str(patch) not in made and len(made) < MAX_PATCHES:
        change(patches=(*made, str(patch)))


def _remove(number: int) -> None:
    made = [*current()[0].patches]
    change(patches=tuple(made[:number] + made[number + 1 :]))


def undo_patch() -> None:
    change(patches=current()[0].patches[:-1])


def _first_try(result: Result, letters: Letters) -> StreamPatch:
    """A block to begin with: the last token, after the layer from which on the runs have come apart there."""
    final = len(result.scalars["tokens"]) - 1
    layer = apart_from(result["lens_clean"][1:, -1], result["lens_corrupted"][1:, -1], letters)
    return StreamPatch("clean", (layer, layer), (final, final))


def list_patches(base: Result, patches: Sequence[StreamPatch], letters: Letters) -> None:
    """Draw what was put in, each with a button to take it back; without any, a button to try one."""
    if not patches:
        one = _first_try(base, letters)
        words = f"Try one: the last token after layer {one.layers[0]} of your question, into the other prompt"
        quiet("Nothing is put in yet.", "no patch")
        st.button(words, key="try", on_click=add_patch, args=(one,))
        return
    tokens = {"clean": base.scalars["tokens"], "corrupted": base.scalars["corrupted_tokens"]}
    st.markdown("**Put in**")
    for number, patch in enumerate(patches):
        row = st.container(horizontal=True, vertical_alignment="center")
        row.button("Remove", key=f"remove {number}", on_click=_remove, args=(number,))
        with row:
            quiet(
                f"{number + 1}. From {NAMES[patch.source].lower()}: {in_words(patch, tokens[patch.source])}. "
                f"Into {NAMES[patch.target].lower()}.",
                f"patch {number}",
            )
    row = st.container(horizontal=True)
    row.button("Undo the last", key="undo", on_click=undo_patch)
    row.button("Remove all", key="clear", on_click=change, kwargs={"patches": ()})
