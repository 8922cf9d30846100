"""Two prompts as grids of what the logit lens reads; blocks of one are put into the other's run."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.cost import result_at_price
from app.components.frame import open_page, show_question
from app.components.job import answer_of, result_of
from app.components.next_page import end_page
from app.components.notice import error_box, quiet, sentence
from app.components.patch_answers import NAMES, says, show_bars, show_tokens, tell_patched
from app.components.patch_choice import choose_corruption, possible_corruptions
from app.components.patch_grids import show_grids
from app.components.patch_list import add_patch, chosen_patches, list_patches, undo_patch
from app.components.provenance import show_provenance
from app.components.story_parts import Answer
from app.figures.lens_grids import SPANS, LensGrid, Letters, Words, grids_of, letters_of, scale_of, words_of
from app.letter import Letter
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client
from backend.contract.errors import LetterheadsError
from backend.contract.request import Request
from backend.contract.result import Result
from backend.contract.stream_patch import RUNS, StreamPatch


def controls(client: Client, selection: Selection, letter: Letter) -> dict[str, Any] | None:
    """Draw them. Returns the corruption that makes the other prompt; None while it is not known."""
    corruptions = possible_corruptions(client, selection, letter)
    if corruptions is None:
        return None
    row = st.container(horizontal=True, vertical_alignment="bottom")
    given = choose_corruption(row, selection, letter, corruptions)
    row.segmented_control(
        "Tokens shown",
        SPANS,
        format_func=SPANS.__getitem__,
        required=True,
        help="Of a long prompt, the last tokens are shown.",
        **bound("span", selection.chosen.span),
    )
    row.toggle(
        "Likeliest tokens",
        help="Names in each cell the likeliest token of the whole vocabulary. It takes several passes of the model.",
        **bound("words", selection.chosen.words),
    )
    if given is None:
        quiet("Write the other prompt to begin.", "empty")
    return given


def asked(
    selection: Selection, corruption: dict[str, Any], patches: Sequence[StreamPatch], *, check: bool
) -> Request:
    blocks = [patch.to_json() for patch in patches]
    return selection.ask("patched-lens", corruption=corruption, patches=blocks, check=check)


def likeliest_words(
    client: Client, selection: Selection, corruption: dict[str, Any], grids: Sequence[LensGrid]
) -> list[Words]:
    """Ask for the likeliest token of each cell of both prompts, one after the other. Empty while they are not known."""
    found = []
    for grid in grids:
        other = {} if grid.run == "clean" else {"corruption": corruption}
        request = selection.ask("lens", top=1, positions=list(grid.positions), **other)
        name = NAMES[grid.run].lower()
        lens = result_at_price(client, request, f"words {grid.run}", f"Name the likeliest tokens of {name}")
        if lens is None:
            return []
        found.append(words_of(lens))
    return found


def show_pair(
    result: Result,
    letters: Letters,
    grids: Sequence[LensGrid],
    words: Sequence[Words],
) -> None:
    labels = result.scalars["labels"]
    show_grids(
        "What the logit lens reads at each token, layer by layer",
        grids,
        [NAMES[run] for run in RUNS],
        [says(result, run) for run in RUNS],
        depths=result.ticks["depth"],
        labels=labels,
        letters=letters,
        scale=scale_of(result, letters),
        words=words,
        on_block=add_patch,
        on_undo=undo_patch,
    )
    same = (
        f" Both say {labels[letters.high]}, so colours compare it with {labels[letters.low]}, its runner-up in your "
        "question."
        if letters.same
        else ""
    )
    in_cell = "likeliest token, or the letter where the patches changed it," if words else "letter"
    high, low = labels[letters.high], labels[letters.low]
    quiet(
        f"Rows: the embedding, then after each layer. Columns: tokens. In each cell stands the {in_cell} that the lens "
        f"reads there. Orange: {high} leads {low}; blue: the reverse. Colour is full at the largest lead at the last "
        f"token. Frames: what was put in. A corner: it makes another letter lead there.{same}",
        "how to read",
    )
    quiet(
        "Drag a cell into the other grid. For a block, drag over it first, then drag it. By keyboard: arrows move, "
        "Shift and arrows select a block, Enter or c puts it into the other prompt, Backspace takes the last one back.",
        "how to put in",
    )


def show_checked(client: Client, request: Request, quick: Result) -> LetterheadsError | None:
    """Draw the check of the patched runs against whole passes. Returns what went wrong with it."""
    checked = answer_of(client, request, "patched check")
    if isinstance(checked, LetterheadsError):
        return checked
    if checked is None:
        quiet("Being checked against passes of the whole model.", "being checked")
    show_provenance(checked or quick)
    return None


client, selection = open_page(
    "What if it had read something else here?",
    "Two prompts, the same model. Put what the model holds at one place of one run into the other run, and see at once "
    "what it then says. All that comes after the place is computed again.",
    guide="patch_lens",
)
show_question(selection)
prediction = result_of(client, selection.ask("prediction"), "prediction")
if prediction is None:
    end_page("Patch Lens")
answer = Answer(selection, prediction)
letter = Letter(answer.said, answer.said, selection.right)
corruption = controls(client, selection, letter)
if corruption is None:
    end_page("Patch Lens")
# The prediction left the run of the question; the other prompt is one pass more.
start = answer.start("Read both prompts", passes=1)
base = result_of(client, asked(selection, corruption, (), check=False), "both runs", start=start)
if base is None:
    end_page("Patch Lens")
letters, patches = letters_of(base), chosen_patches()
quiet(f"The other prompt: {base.scalars['corruption']}", "other prompt")
under_way, picture = st.container(), st.empty()
patched: Result | None = None
if patches:
    with under_way:
        patched = result_of(client, asked(selection, corruption, patches, check=False), "patched")
with picture.container():
    if patched:
        tell_patched(patched, patches)
    elif letters.same:
        sentence(
            "Both prompts make the model say ",
            selection.labels[letters.high],
            ". Choose another corrupted prompt to see an answer move.",
            key="same",
        )
    grids = grids_of(patched or base, letters, selection.chosen.span, patches)
    words = likeliest_words(client, selection, corruption, grids) if selection.chosen.words else []
    show_pair(patched or base, letters, grids, words)
list_patches(base, patches, letters)
answers = st.empty()
with answers.container():
    show_bars(patched or base)
    with st.expander("Likeliest next tokens over the whole vocabulary"):
        show_tokens(patched or base)
if patched is None:
    show_provenance(base)
else:
    problem = show_checked(client, asked(selection, corruption, patches, check=True), patched)
    if problem is not None:
        picture.empty()
        answers.empty()
        error_box(problem, "failed patched check")
