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
    """The client of this process's one host, which begins to start at the first call."""
    # Imported here: importing this package alone, for a name, should cost nothing.
    from backend.results.store import Store
    from backend.service.jobs import Jobs
    from backend.service.local import LocalClient
    from backend.service.process_host import ProcessHost

    results = home() / "results"
    host = ProcessHost(results)
    client = LocalClient(Jobs(Store(results, report=log.warning), host))
    host.start()
    return client
