"""The tests mirror app/ and backend/; tests/browser/ drives a real Chromium."""

import backend  # noqa: F401  before torch is: it says how torch's threads wait
