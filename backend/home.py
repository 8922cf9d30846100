"""Where Letterheads keeps what it makes: `LETTERHEADS_HOME`, by default a folder in the user's cache."""

import os
from pathlib import Path


def home() -> Path:
    """The cache folder, not created here. Read at each call, so that tests can move it."""
    chosen = os.environ.get("LETTERHEADS_HOME")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "letterheads"
