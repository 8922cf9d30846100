"""The analysis system: questions, models, engine, analyses, results, service. It never imports streamlit."""

import os

__version__ = "0.1.0"

# torch's OpenMP threads spin while they wait for each other. On a processor that they share with anything else, a
# browser drawing the page for one, that made a forward pass 11 times slower (7.0 s against 0.6 s on 2 cores); asleep
# they cost nothing. Read once, when torch is loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# MKL's way of getting the same bits in each run also suits AMD's processors: 14 to 86 rows of float32 at 1.1 to 1.2
# times the speed (`scripts/bench products`).
os.environ.setdefault("MKL_CBWR", "AUTO")
# oneDNN keeps this many of the kernels that it compiles, half a megabyte each; by itself it keeps 1024.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
