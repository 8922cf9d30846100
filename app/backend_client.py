"""The one place where the frontend gets its backend."""

from typing import cast
from uuid import uuid4

import streamlit as st

from backend.contract.client import Client
from backend.service import connect


# connect() makes one client a process; here two browsers that come at the same moment wait for the same one.
@st.cache_resource(show_spinner=False)
def _connected() -> Client:
    return connect()


def backend() -> Client:
    """The backend of this process, or the one that a test put into the session as `client`."""
    if "client" in st.session_state:
        return cast(Client, st.session_state["client"])
    return _connected()


def caller() -> str:
    """Who asks, for the backend to serve callers in turn: one name for each browser tab."""
    return cast(str, st.session_state.setdefault("caller", uuid4().hex))
