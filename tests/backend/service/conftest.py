from pathlib import Path

import pytest

from backend.results.store import Store
from backend.service.in_process import InProcessClient
from backend.service.worker import Worker
from tests.backend.service.serving import Loader


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def client(tmp_path: Path, loader: Loader) -> InProcessClient:
    return InProcessClient(Worker(Store(tmp_path / "results"), loader))
