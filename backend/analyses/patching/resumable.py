"""Sweeps that save their results every few seconds, so that a later run continues from there.

Example: with 2 corrupted prompts, 3 cells and 4 labels, `logits` has the shape [2, 3, 4] and is all NaN. The first
sweep finishes cells 0 and 2 and is cancelled: `logits[0, 0]` and `logits[0, 2]` are numbers and are in the checkpoint.
The next run of the same request loads them, sweeps cell 1 of the first prompt, and then the 3 cells of the second.
"""

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


class SweepResults:
    """The results of every cell of every draw; NaN for a cell that has not been swept.

    Attributes:
        logits: the labels' logits, `[draw, cell, label]`.
        logsumexp: the log-sum-exp of all logits, `[draw, cell]`; all NaN if the metric does not need it.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        checkpoint: Checkpoint | None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Load what the checkpoint has for these sizes (draws, cells, labels).

        `changed` is called when there are new results, at most every SHOW_SECONDS.
        """
        self.logits = torch.full(sizes, float("nan"))
        self.logsumexp = torch.full(sizes[:2], float("nan"), dtype=torch.float64)
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
        """Run the cells of one draw's `sweep` that have no result yet; cells with empty sets stay NaN.

        The results are saved at the end, also if the sweep is interrupted. Raises what `run_sweep` raises.
        """
        finished = ~self.logits[draw].isnan().any(-1)
        if bool(finished.any()):
            self._changed()  # shows the loaded results before the first new ones
        swept_cells = [cell for cell, nodes in enumerate(sweep.sets) if nodes]

        def record(numbers: list[int], logits: Tensor, logsumexp: Tensor | None) -> None:
            cells = [swept_cells[number] for number in numbers]
            self.logits[draw, cells] = logits
            if logsumexp is not None:
                self.logsumexp[draw, cells] = logsumexp
            self._save_and_show()

        try:
            swept = run_sweep(
                instrument,
                replace(sweep, sets=[sweep.sets[cell] for cell in swept_cells]),
                budget_bytes=budget_bytes,
                finished=[number for number, cell in enumerate(swept_cells) if bool(finished[cell])],
                progress=progress,
                on_done=record,
            )
        finally:
            self._save()
        logsumexp = self.logsumexp[draw] if sweep.wanted.vocabulary else None
        return Swept(self.logits[draw], logsumexp, None, swept.skipped, swept.engine)

    def _save_and_show(self) -> None:
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
