"""A sweep that saves what it has finished every few seconds, and goes on from there."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Sweep, Swept, run_sweep
from backend.results.checkpoint import Checkpoint

SAVE_SECONDS = 2.0
SHOW_SECONDS = 0.5


class Board:
    """The labels' logits of every experiment of every draw, NaN where it is not known; saved as they come in.

    `logits[draw, experiment, label]`, `logsumexp[draw, experiment]`.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        checkpoint: Checkpoint | None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called when more is known, now and then."""
        self.logits = torch.full(sizes, float("nan"))
        self.logsumexp = torch.full(sizes[:2], float("nan"))
        self._checkpoint = checkpoint
        self._changed = changed
        self._saved_at = self._shown_at = time.monotonic()
        saved = {} if checkpoint is None else checkpoint.load()
        if saved.keys() == {"logits", "logsumexp"} and saved["logits"].shape == sizes:
            self.logits.copy_(torch.from_numpy(saved["logits"]))
            self.logsumexp.copy_(torch.from_numpy(saved["logsumexp"]))

    def sweep(
        self,
        instrument: Instrument,
        sweep: Sweep,
        draw: int,
        progress: Progress,
        budget_bytes: int | None,
    ) -> Swept:
        """`run_sweep` of those sets of one draw's `sweep` that are not known yet; empty sets stay unknown.

        What was finished is saved at the end, also when it is interrupted. Raises what `run_sweep` raises.
        """
        known = ~self.logits[draw].isnan().any(-1)
        if bool(known.any()):
            self._changed()  # what was saved can be looked at before more comes
        waiting = [number for number, nodes in enumerate(sweep.sets) if nodes and not bool(known[number])]

        def keep(numbers: list[int], logits: Tensor, logsumexp: Tensor | None) -> None:
            places = [waiting[number] for number in numbers]
            self.logits[draw, places] = logits
            if logsumexp is not None:
                self.logsumexp[draw, places] = logsumexp
            self._now_and_then()

        try:
            swept = run_sweep(
                instrument,
                replace(sweep, sets=[sweep.sets[number] for number in waiting]),
                budget_bytes=budget_bytes,
                progress=progress,
                on_done=keep,
            )
        finally:
            self._save()
        logsumexp = self.logsumexp[draw] if sweep.wanted.vocabulary else None
        return Swept(self.logits[draw], logsumexp, None, swept.skipped, swept.engine)

    def _now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._saved_at > SAVE_SECONDS:
            self._save()
            self._saved_at = time.monotonic()
        if now - self._shown_at > SHOW_SECONDS:
            self._changed()
            self._shown_at = time.monotonic()

    def _save(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.save({"logits": self.logits.numpy(), "logsumexp": self.logsumexp.numpy()})
