from pathlib import Path

from backend.results.checkpoint import Checkpoint


def test_a_damaged_checkpoint_is_nothing_yet(tmp_path: Path) -> None:
    file = tmp_path / "sweep.npz"
    file.write_bytes(b"PK\x03\x04 damaged")
    assert Checkpoint(file).load() == {}
    assert Checkpoint(tmp_path / "none.npz").load() == {}
