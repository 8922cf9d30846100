"""Start the dashboard: `python serve.py [--port N] [--address A]`. At the root, so that static/ lies beside it."""

import sys

import streamlit as st

from app.server import MIDDLEWARE, main

app = st.App("streamlit_app.py", middleware=MIDDLEWARE)

if __name__ == "__main__":
    sys.exit(main(app.run, sys.argv[1:]))
