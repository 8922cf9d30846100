"""The dashboard's entry: its pages, and what stands around each of them."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from app.components.job import begin_run, leave_the_rest
from app.components.next_page import next_link
from app.components.notice import error_box
from app.components.sidebar import show_sidebar
from app.navigation import GUIDE, PAGES
from backend.contract.errors import LetterheadsError

st.set_page_config(page_title="Letterheads", page_icon="static/icon.svg", layout="wide")
st.html(Path(__file__).parent / "app" / "page.css")
st.logo("static/logo.svg", size="large")
page = st.navigation([st.Page(**fields) for fields in (*PAGES, GUIDE)], position="hidden")
show_sidebar()
begin_run()
try:
    page.run()
    next_link(page.title)
except LetterheadsError as error:
    error_box(error)
except StopException:
    # The page ends early, and nothing more can be drawn. A click in the middle of it is another exception.
    pass
leave_the_rest()
