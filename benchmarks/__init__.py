"""Timings as ratios measured in one run. Nothing here is a test."""

import backend  # noqa: F401  before torch is: it says how torch's threads wait
