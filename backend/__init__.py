"""The analysis system: questions, models, engine, analyses, results, service. It never imports streamlit."""

import os

__version__ = "0.1.0"

# torch's OpenMP threads spin while they wait for each other. On a processor that they share with anything else, a
# browser drawing the page for one, that made a forward pass 11 times slower (7.0 s against 0.6 s on 2 cores); asleep
# they cost nothing. Read once, when torch is loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
