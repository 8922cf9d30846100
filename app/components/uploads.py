"""Uploading a bank of questions, and deleting the uploaded bank in use."""

import streamlit as st

from app.components.bank_choice import change_bank
from app.components.notice import error_box, quiet
from app.components.upload_preview import begin_preview, show_preview
from app.selection import Selection
from backend.contract.cards import BankCard
from backend.contract.client import Client
from backend.contract.errors import LetterheadsError

UPLOADED = "upload-"


def manage_uploads(client: Client, selection: Selection) -> None:
    """Draw the uploader, and for an uploaded bank in use the button that deletes it, which asks again first."""
    st.markdown(
        "**CSV, JSON, JSONL or parquet** as MMLU, MMLU-Pro, ARC, OpenBookQA, CommonsenseQA, TruthfulQA and MIB have "
        "them, or with columns that you map. Up to 5,000 questions, 5 MB."
    )
    key = _uploader_key()
    st.file_uploader(
        "Bank", type=["csv", "tsv", "json", "jsonl", "parquet"], key=key, on_change=_take, args=(client, key),
        label_visibility="collapsed",
    )  # fmt: skip
    if "upload error" in st.session_state:
        error_box(st.session_state["upload error"], "upload")
    show_preview(client)
    if _uploaded(selection.bank):
        _delete(client, selection.bank)
    elif any(_uploaded(card) for card in client.banks()):
        st.caption("To delete an uploaded bank, choose it as the bank first.")


def _uploaded(card: BankCard) -> bool:
    return card.name.startswith(UPLOADED)


def _uploader_key() -> str:
    """A new one after each upload: a file still shown there looks as if its cross would delete the bank."""
    return f"upload {st.session_state.get('uploads', 0)}"


def _take(client: Client, key: str) -> None:
    st.session_state.pop("upload error", None)
    file = st.session_state[key]
    if file is None:
        return
    st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1
    begin_preview(client, file.name, file.getvalue())


def _delete(client: Client, bank: BankCard) -> None:
    count = f"{bank.questions:,} question{'' if bank.questions == 1 else 's'}"
    if st.session_state.get("deleting") != bank.name:
        quiet(f"In use: {bank.title}, {count}.", "bank in use")
        st.button(
            "Delete this bank", icon=":material/delete:", key="delete", on_click=_ask, args=(bank.name,)
        )
        return
    quiet(
        f"Delete {bank.title} with {count}? Everybody who uses this server loses it. Saved results stay, and are "
        "found again if the same file is uploaded again.",
        "bank in use",
    )
    row = st.container(horizontal=True)
    row.button("Delete it", type="primary", key="delete it", on_click=_confirmed, args=(client, bank.name))
    row.button("Keep it", key="keep it", on_click=_ask, args=(None,))


def _ask(name: str | None) -> None:
    st.session_state["deleting"] = name


def _confirmed(client: Client, name: str) -> None:
    _ask(None)
    st.session_state.pop("upload error", None)
    try:
        client.delete_bank(name)
    except LetterheadsError as error:
        st.session_state["upload error"] = error
    else:
        change_bank(client.banks()[0].name)
