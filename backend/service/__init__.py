"""The backend's front door: `connect()` gives the client that pages and the command line talk to."""

import logging
from functools import cache

from backend.contract.cards import BankCard, JobStatus, ModelCard
from backend.contract.client import Client
from backend.home import home

__all__ = ["BankCard", "Client", "JobStatus", "ModelCard", "connect"]

log = logging.getLogger(__name__)


@cache
def connect() -> Client:
    """The client of this process's one worker, which is started at the first call."""
    # Imported here: torch and transformers take seconds, and a page can show itself before they are needed.
    from backend.results.store import Store
    from backend.service.in_process import InProcessClient
    from backend.service.worker import Worker

    return InProcessClient(Worker(Store(home() / "results", report=log.warning)))
