"""Tiny files made once."""

from pathlib import Path

import pytest

from backend.contract.progress import silent
from backend.models.convert import convert
from tests.backend.models.making import write_gguf


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny qwen2 GGUF with an output projection of its own. Not to be changed."""
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def converted(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a Hugging Face folder. Not to be changed."""
    folder = tmp_path_factory.mktemp("converted")
    convert(gguf, folder, "tiny", silent)
    return folder
