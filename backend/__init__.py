"""The analysis system: questions, models, engine, analyses, results, service. It never imports streamlit."""

__version__ = "0.1.0"
