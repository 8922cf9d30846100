"""Figures: pure functions from arrays to plotly figures, and the numbers that they need. No streamlit."""
