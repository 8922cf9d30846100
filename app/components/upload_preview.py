"""An uploaded file before it is kept: its first rows, what was read, and what the user may say of how it is read.

A file that is read without a question, and of which nothing is left out, is kept at once.
"""

from dataclasses import dataclass

import streamlit as st

from app.components.bank_choice import change_bank
from app.components.notice import quiet, sentence, warning_box
from backend.contract.client import Client
from backend.contract.errors import LetterheadsError, RequestError
from backend.contract.files import (
    ANSWER_KINDS,
    AS_FOUND,
    DELIMITERS,
    ENCODINGS,
    Columns,
    FilePreview,
    Reading,
    summary,
)

FOUND = "Found from the file"
NONE = "None"
HEADERS = {"Names the columns": True, "Is a question": False}
PREFIX = "read "


@dataclass(frozen=True)
class _Pending:
    """A file that waits, as it was read last."""

    name: str
    data: bytes
    reading: Reading
    preview: FilePreview


def begin_preview(client: Client, name: str, data: bytes) -> None:
    """Take a file: keep it at once where nothing about it is open, else show it. Called before the page is drawn."""
    for key in [key for key in st.session_state if str(key).startswith(PREFIX)]:
        del st.session_state[key]
    pending = _read(client, name, data, AS_FOUND)
    st.session_state["pending upload"] = pending
    read = pending.preview.read
    if read and not read.left_out and not read.notes:
        _keep(client)


def show_preview(client: Client) -> None:
    """Draw the file that waits, if one does, with the controls of how it is read."""
    pending: _Pending | None = st.session_state.get("pending upload")
    if pending is None:
        return
    sentence("", pending.name, " is not kept yet.", key="pending")
    seen = st.container()  # what is seen stands above the controls that decide it
    columns = pending.preview.columns
    reading = _choose(columns)
    if reading != pending.reading:
        pending = _read(client, pending.name, pending.data, reading)
        st.session_state["pending upload"] = pending
        if pending.preview.columns != columns:
            st.rerun()  # the columns to choose from are others now
    with seen:
        _tell(pending.preview)
    row = st.container(horizontal=True)
    row.button(
        "Keep as a bank", type="primary", key="keep upload", on_click=_keep, args=(client,),
        disabled=pending.preview.read is None,
    )  # fmt: skip
    row.button("Discard", key="discard upload", on_click=_discard)


def _tell(preview: FilePreview) -> None:
    """The first rows, and what was read of them all."""
    if preview.rows:
        st.caption("The first rows, as they are in the file:")
        st.dataframe(
            [dict(zip(preview.columns, row, strict=True)) for row in preview.rows],
            hide_index=True,
            key="first rows",
        )
    if preview.problem:
        warning_box([preview.problem], "preview")
    if preview.read:
        read = preview.read
        first = read.questions[0]
        right = "no right answer" if first.answer is None else f"right: {first.options[first.answer]}"
        sentence(
            f"{len(read.questions):,} questions. The first: ",
            first.stem[:200],
            f" {' / '.join(first.options)[:300]} ({right[:100]}).",
            key="first question",
        )
        if read.left_out:
            warning_box([f"Left out: {summary(read.left_out)}."], "left out")
        for number, note in enumerate(read.notes):
            quiet(note, f"note {number}")


def _choose(columns: tuple[str, ...]) -> Reading:
    """Draw the controls. Columns that are mapped by hand are a part of it once they fit together."""
    left, right = st.columns(2)
    with left:
        answers = _select("The answer is", {title: name for name, title in ANSWER_KINDS.items()})
        header = _select("The first line", {name: name for name in HEADERS})
    with right:
        encoding = _select("Encoding", {name: name for name in ENCODINGS})
        delimiter = _select("Between columns", {name.capitalize(): name for name in DELIMITERS})
    mapped = None
    if st.toggle("Map the columns by hand", key=f"{PREFIX}by hand") and columns:
        try:
            mapped = _map(columns)
        except RequestError as error:
            quiet(str(error), "mapping")
    return Reading(
        columns=mapped,
        answers=answers,
        encoding=encoding,
        delimiter=delimiter,
        header=HEADERS.get(header),
    )


def _map(columns: tuple[str, ...]) -> Columns:
    """Draw the choice of columns. Raises RequestError for columns that do not fit together."""
    about = " ".join(columns)  # other columns have choices of their own
    named = {name: name for name in columns}
    left, right = st.columns(2)
    with left:
        stem = st.selectbox("Column of the question", columns, key=f"{PREFIX}stem {about}")
        answer = _select("Column of the right answer", named, NONE, about)
    with right:
        options = st.multiselect(
            "Columns of the options, in order", columns, key=f"{PREFIX}options {about}",
            help="One for each option, or one that holds a list",
        )  # fmt: skip
        subject = _select("Column of the subject", named, NONE, about)
    return Columns(stem, tuple(options), answer, subject)


def _select(label: str, values: dict[str, str], empty: str = FOUND, about: str = "") -> str:
    """The value chosen; an empty text for the first entry."""
    places = range(len(values) + 1)  # not the texts: a column may be named as the first entry is
    titles = [empty, *values]
    place = st.selectbox(
        label, places, format_func=titles.__getitem__, key=f"{PREFIX}{label} {about}".strip()
    )
    return ["", *values.values()][place]


def _read(client: Client, name: str, data: bytes, reading: Reading) -> _Pending:
    try:
        return _Pending(name, data, reading, client.preview(name, data, reading))
    except LetterheadsError as error:
        return _Pending(name, data, reading, FilePreview((), (), None, str(error)))


def _keep(client: Client) -> None:
    pending: _Pending = st.session_state["pending upload"]
    try:
        card = client.upload(pending.name, pending.data, pending.reading)
    except LetterheadsError as error:
        st.session_state["upload error"] = error
    else:
        _discard()
        change_bank(card.name)


def _discard() -> None:
    st.session_state.pop("pending upload", None)
