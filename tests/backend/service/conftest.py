from pathlib import Path

import pytest

from backend.service.local import LocalClient
from tests.backend.service.serving import Loader, serving


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def client(tmp_path: Path, loader: Loader) -> LocalClient:
    return serving(tmp_path / "results", loader)
