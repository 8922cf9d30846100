"""Checkpoints: what was saved comes back; what is damaged counts as nothing; a full disk stops nobody."""

import errno
import random
from pathlib import Path

import numpy as np
import pytest

from backend.results.checkpoint import Checkpoint

ARRAYS = {
    "logits": np.arange(12, dtype=np.float32).reshape(3, 4),
    "logsumexp": np.full(3, np.nan, np.float32),
}


def test_what_was_saved_comes_back_and_is_dropped(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "made" / "sweep")
    assert checkpoint.load() == {}
    checkpoint.save(ARRAYS)
    found = checkpoint.load()
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name], equal_nan=True) for name in ARRAYS)
    checkpoint.drop()
    checkpoint.drop()
    assert checkpoint.load() == {}


def test_500_damages_of_a_checkpoint_are_nothing_saved(tmp_path: Path) -> None:
    file, reported = tmp_path / "sweep", list[str]()
    Checkpoint(file).save(ARRAYS)
    whole, drawn = file.read_bytes(), random.Random(0)
    for _ in range(500):
        damaged = bytearray(whole)
        if drawn.random() < 0.2:
            damaged = damaged[: drawn.randrange(len(damaged))]
        else:
            for _ in range(drawn.randint(1, 4)):
                damaged[drawn.randrange(len(damaged))] ^= drawn.randint(1, 255)
        if bytes(damaged) == whole:
            continue
        file.write_bytes(damaged)
        assert Checkpoint(file, reported.append).load() == {}
        assert not file.exists()
        assert "is damaged" in reported.pop()


def test_a_checkpoint_of_an_older_version_is_nothing_saved(tmp_path: Path) -> None:
    with open(tmp_path / "sweep", "wb") as stream:
        np.savez(stream, **ARRAYS)  # type: ignore[arg-type]
    assert Checkpoint(tmp_path / "sweep").load() == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_reported_once_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    reported: list[str] = []
    checkpoint = Checkpoint(tmp_path / "sweep", reported.append)
    monkeypatch.setattr("backend.results.checkpoint.write_whole", refuse)
    checkpoint.save(ARRAYS)
    checkpoint.save(ARRAYS)
    assert len(reported) == 1
    assert "goes on" in reported[0]
