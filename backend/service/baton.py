"""The right to compute: one job at a time has it, and a short job gets it before a long one.

A short job waits only until the long one gives way, which it does between batches (see backend/contract/progress.py).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.1


class Baton:
    """A lock that the computing thread holds."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._short_waiting = 0

    @contextmanager
    def turn(self, *, short: bool, check: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Inside, this thread may compute. Yields a function that lets waiting short jobs pass.

        `check` is called ten times a second while we wait, and may raise to end that.
        """
        held = False

        def take() -> None:
            nonlocal held
            self._take(short, check)
            held = True

        def let_pass() -> None:
            nonlocal held
            if self._short_waiting and not short:
                self._give()
                held = False
                take()

        take()
        try:
            yield let_pass
        finally:
            if held:
                self._give()

    def _take(self, short: bool, check: Callable[[], None]) -> None:
        with self._changed:
            self._short_waiting += short
            try:
                while self._held or (self._short_waiting and not short):
                    self._changed.wait(POLL_SECONDS)
                    check()
                self._held = True
            finally:
                self._short_waiting -= short
                self._changed.notify_all()

    def _give(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()
