"""The order of waiting jobs: callers in turn, short jobs first, jobs of the resident model before others.

Two people with different models would make them load back and forth: so the resident model keeps its turn until no job
of it waits, or a job of another model has waited `PATIENCE` seconds of that turn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from backend.service.job import Job

PATIENCE = 20.0


@dataclass
class Turn:
    """Whose turn it is: a model, since when, and how lately each caller was served (a growing number)."""

    model: tuple[str, ...] = ()
    began: float = 0.0
    served: Counter[str] = field(default_factory=Counter)

    def begin(self, model: tuple[str, ...]) -> None:
        """From now on it is this model's."""
        if model != self.model:
            self.model, self.began = model, monotonic()

    def serve(self, job: Job) -> None:
        """Its caller comes last from now on, and its model has the turn."""
        self.begin(job.ticket.model)
        self.served[job.caller] = 1 + max(self.served.values(), default=0)

    def overdue(self, job: Job) -> bool:
        """Whether a job of another model has waited long enough."""
        waited = monotonic() - max(job.queued, self.began)
        return job.ticket.model != self.model and waited > PATIENCE


def in_order(waiting: Sequence[Job], turn: Turn) -> list[Job]:
    """The first is served next, as things stand now."""
    rounds = _rounds(waiting, turn.served)
    return sorted(
        waiting,
        key=lambda job: (
            not turn.overdue(job),
            job.ticket.model != turn.model,
            not job.ticket.short,
            *rounds[job],
        ),
    )


def _rounds(waiting: Sequence[Job], served: Mapping[str, int]) -> dict[Job, tuple[int, int, int]]:
    """Of each job: how many of its caller come before it, how lately its caller was served, and its number.

    Short jobs and long ones of a caller are counted apart, since they do not wait for each other.
    """
    before: Counter[tuple[str, bool]] = Counter()
    rounds = {}
    for job in sorted(waiting, key=lambda job: job.number):
        kind = (job.caller, job.ticket.short)
        rounds[job] = (before[kind], served.get(job.caller, 0), job.number)
        before[kind] += 1
    return rounds


def waiting_text(job: Job, order: Sequence[Job], running: Sequence[Job]) -> tuple[int, str]:
    """A waiting job's position in the queue, counted from 1, and a sentence on what runs before it."""
    position = order.index(job) + 1
    before = order[position - 2] if position > 1 else next(iter(running), None)
    if before is None:
        return position, "Waiting for its turn"
    model = before.ticket.resolved.name
    after = f"{before.ticket.analysis.name} with {model}"
    return position, f"{ordinal(position)} in line, after {after}"


def ordinal(position: int) -> str:
    """
    >>> ordinal(1), ordinal(2), ordinal(11), ordinal(23)
    ('1st', '2nd', '11th', '23rd')
    """
    if position % 100 in (11, 12, 13):
        return f"{position}th"
    return f"{position}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(position % 10, 'th') }"
