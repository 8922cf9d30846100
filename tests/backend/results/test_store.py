"""Results come back as they were put, whole or not at all, and the store stays within its bytes."""

import errno
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.contract.errors import ResourceError, StoreError
from backend.contract.result import Array, Result
from backend.results import files
from backend.results.store import Store


def result(fill: float = 1.0, size: int = 4) -> Result:
    values = np.full((size, 2), fill, dtype=np.float32)
    return Result(
        request={"analysis": "attribution"},
        arrays={"heads": Array(values, ("layer", "label"), "logits")},
        ticks={"label": ("A", "ب")},
        scalars={"predicted": "A", "tokens": ["<b>", "🙂"], "loss": None},
        checks={"identity_error": (1e-6, 1e-3)},
        model={"name": "tiny", "fingerprint": "ab12"},
        versions={"torch": "2"},
        seconds=0.5,
    )


def same(left: Result, right: Result) -> bool:
    arrays = all(np.array_equal(left[name], right[name]) for name in left.arrays)
    return arrays and {**vars(left), "arrays": 0} == {**vars(right), "arrays": 0}


def test_comes_back_as_it_was_also_in_a_new_store(tmp_path: Path) -> None:
    Store(tmp_path).put("ab1", result())
    found = Store(tmp_path).find("ab1")
    assert found is not None
    assert same(found, result())
    assert Store(tmp_path).find("ab2") is None


@pytest.mark.parametrize("name", ["seconds", "model", "identity_error"])
def test_a_scalar_cannot_hide_a_field(tmp_path: Path, name: str) -> None:
    found = result()
    with pytest.raises(ValueError, match=f"cannot be called {name}"):
        files.write(replace(found, scalars={**found.scalars, name: 1}), tmp_path)


def test_putting_again_replaces(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("ab1", result(1))
    store.put("ab1", result(2))
    found = store.find("ab1")
    assert found is not None
    assert found["heads"][0, 0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["ab"]


@pytest.mark.parametrize("name", [files.JSON_NAME, files.ARRAYS_NAME])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_entry_is_reported_and_no_longer_there(tmp_path: Path, name: str, damage: str) -> None:
    told: list[str] = []
    store = Store(tmp_path, report=told.append)
    store.put("ab1", result())
    file = tmp_path / "ab" / "ab1" / name
    data = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        data[0] ^= 0xFF
        file.write_bytes(data)
    assert store.find("ab1") is None
    assert len(told) == 1
    assert "damaged" in told[0]
    assert "computed again" in told[0]
    store.put("ab1", result())
    assert store.find("ab1") is not None


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    probe = Store(tmp_path / "probe")
    probe.put("aa0", result(size=1000))
    one = sum(path.stat().st_size for path in (tmp_path / "probe" / "aa" / "aa0").iterdir())
    store = Store(tmp_path / "store", limit=int(3.5 * one))
    for age, key in ((30, "aa1"), (20, "aa2"), (10, "aa3")):
        store.put(key, result(size=1000))
        stamp = time.time() - age
        os.utime(tmp_path / "store" / "aa" / key, (stamp, stamp))
    assert store.find("aa1") is not None  # used just now
    store.put("aa4", result(size=1000))
    assert {key for key in ("aa1", "aa2", "aa3", "aa4") if store.find(key)} == {"aa1", "aa3", "aa4"}


def test_what_is_larger_than_the_limit_is_still_kept_once(tmp_path: Path) -> None:
    store = Store(tmp_path, limit=1)
    store.put("aa1", result())
    assert store.find("aa1") is not None


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path)
    store.put("ab1", result(1))
    monkeypatch.setattr("backend.results.store.write", full)
    with pytest.raises(ResourceError, match=r"disk is full.*LETTERHEADS_HOME"):
        store.put("ab1", result(2))
    found = store.find("ab1")
    assert found is not None
    assert found["heads"][0, 0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ab"]


@pytest.mark.parametrize("key", ["", "../x", "a/b", "ä1"])
def test_a_key_never_becomes_another_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(StoreError):
        Store(tmp_path).find(key)


WRITER = """
import sys
from pathlib import Path
from tests.backend.results.test_store import result
from backend.results.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.put("ab1", result(size=20000))
"""


def test_killed_while_writing_leaves_a_whole_entry(tmp_path: Path) -> None:
    told: list[str] = []
    whole = 0
    Store(tmp_path).put("ab1", result(size=20000))
    for wait in (0.05, 0.11, 0.17):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = Store(tmp_path, report=told.append).find("ab1")
        # Between the two renames of a replacement there is no entry, but never half of one.
        if found is not None:
            assert found["heads"].shape == (20000, 2)
            whole += 1
    assert whole
    assert told == []


def test_several_processes_store_the_same_key_and_trim_at_once(tmp_path: Path) -> None:
    """Threads here: each has a store of its own, and the renames are the system's."""
    failed: list[BaseException] = []
    reported: list[str] = []

    def put_often(number: int) -> None:
        store = Store(tmp_path, limit=3000, report=reported.append)
        try:
            for turn in range(25):
                store.put("aa1", result(number))
                store.put(f"bb{turn % 3}", result(number))
                store.find("aa1")
        except BaseException as error:  # told by the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=put_often, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert reported == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    store = Store(tmp_path)
    store.put("aa1", result(5))
    found = store.find("aa1")
    assert found is not None
    assert found["heads"][0, 0] == 5


def test_leftovers_of_a_killed_process_go_later(tmp_path: Path) -> None:
    leftover = tmp_path / ".writing-x"
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    Store(tmp_path).put("ab1", result())
    assert not leftover.exists()


def test_arrays_say_what_they_are() -> None:
    unchecked = inspect.unwrap(Array.__init__)  # without the tests' own checks of types
    with pytest.raises(TypeError, match="float32"):
        unchecked(object.__new__(Array), np.zeros(2), ("label",), "logits")
    with pytest.raises(ValueError, match="axis names"):
        Array(np.zeros(2, dtype=np.float32), ("layer", "label"), "logits")
