"""The Streamlit frontend. It talks to the backend's client and never imports torch or transformers."""
