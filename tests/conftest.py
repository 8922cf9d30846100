"""What all tests share: checked annotations, a cache folder of their own, and models made once."""

import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from streamlit.components.v2 import manifest_scanner

from tests import checked_types

# Before a module of ours is imported.
checked_types.install("app", "backend")

from backend.engine.instrument import Instrument
from tests import tiny
from tests.fast_tier import pytest_addoption, pytest_collection_modifyitems
from tests.hand_wired import hand_wired

__all__ = ["pytest_addoption", "pytest_collection_modifyitems"]

torch.set_num_threads(2)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the many collections of garbage pass over half a million objects less."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def packages_scanned_once() -> Iterator[None]:
    """Each run of Streamlit's AppTest reads what every installed package says of itself: most of the run's time."""
    with pytest.MonkeyPatch.context() as patch:
        name = "scan_component_manifests"
        patch.setattr(manifest_scanner, name, cache(getattr(manifest_scanner, name)))
        yield


@pytest.fixture(autouse=True)
def own_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests never touch the user's cache, except those that need the real models in it."""
    real = {"small_model", "default_model"} & {mark.name for mark in request.node.iter_markers()}
    if not real:
        monkeypatch.setenv("LETTERHEADS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session", params=sorted(tiny.FAMILY_CONFIGS))
def family_instrument(request: pytest.FixtureRequest) -> Instrument:
    """A tiny random model of each family in turn."""
    model = tiny.tiny_model(request.param)
    return Instrument(tiny.loaded(model, tiny.tokenizer(), request.param))


@pytest.fixture(scope="session", params=["llama", "mistral", "qwen2", "qwen3"])
def plain_instrument(request: pytest.FixtureRequest) -> Instrument:
    """The plainest of them, for what does not hang on the family."""
    model = tiny.tiny_model(request.param)
    return Instrument(tiny.loaded(model, tiny.tokenizer(), request.param))


@pytest.fixture(scope="session")
def hand_wired_instrument() -> Instrument:
    """The model whose circuit is known."""
    return Instrument(hand_wired())
