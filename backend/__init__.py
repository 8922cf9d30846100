"""The analysis system: questions, models, engine, analyses, results, service. It never imports streamlit."""
