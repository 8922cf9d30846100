import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

from backend.contract.errors import QuestionError
from backend.contract.files import summary
from backend.contract.question import Question
from backend.questions import hub_sets

ROW = {
    "question": "What color is a raven?",
    "subject": "high_school_biology",
    "choices": ["red", "black"],
    "answer": 1,
}
# An answer 0 tells that answers are counted from 0.
FIRST = {**ROW, "answer": 0}
RAVEN = Question("What color is a raven?", ("red", "black"), 1, "high school biology")


def repository(folder: Path, subset: str, *parts: list[dict[str, Any]]) -> Path:
    """A folder laid out like cais/mmlu: one sub-folder a subset, parquet files by split."""
    (folder / subset).mkdir()
    for number, rows in enumerate(parts):
        name = f"test-{number:05}-of-{len(parts):05}.parquet"
        pandas.DataFrame(rows).to_parquet(folder / subset / name)
    pandas.DataFrame([ROW]).to_parquet(folder / subset / "dev-00000-of-00001.parquet")
    return folder


def test_the_test_split_is_read_from_all_its_parts(tmp_path: Path) -> None:
    second = {**ROW, "question": "Which bird?", "answer": 0}
    split, read = hub_sets.read_folder(repository(tmp_path, "birds", [ROW], [second]), "birds")
    assert read.questions == (RAVEN, Question("Which bird?", ("red", "black"), 0, "high school biology"))
    assert (split, read.left_out) == ("test", ())


def test_questions_that_are_not_usable_are_left_out_and_counted(tmp_path: Path) -> None:
    twice = {**ROW, "choices": ["red", "red"]}
    _, read = hub_sets.read_folder(repository(tmp_path, "birds", [FIRST] * 8, [twice]), "birds")
    assert len(read.questions) == 8
    assert summary(read.left_out) == "1 equal options (Row 9)"
    only = repository(tmp_path, "twice", [{**twice, "answer": 0}])
    with pytest.raises(QuestionError, match=r"'twice' cannot be used: Row 1: Options 1 and 2 are the same"):
        hub_sets.read_folder(only, "twice")


def test_an_unknown_subset_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="no test or validation split named 'fish'"):
        hub_sets.read_folder(repository(tmp_path, "birds", [FIRST]), "fish")


def test_the_validation_split_is_read_where_there_is_no_test_split(tmp_path: Path) -> None:
    folder = repository(tmp_path, "birds", [FIRST])
    (folder / "birds" / "test-00000-of-00001.parquet").rename(folder / "birds" / "validation-0.parquet")
    split, read = hub_sets.read_folder(folder, "birds")
    assert (split, len(read.questions)) == ("validation", 1)


def test_other_columns_are_a_clear_error(tmp_path: Path) -> None:
    folder = repository(tmp_path, "birds", [{"text": "x", "label": 1}])
    with pytest.raises(
        QuestionError, match=r"No column is known to be the question .* columns 'text', 'label'"
    ):
        hub_sets.read_folder(folder, "birds")


def test_a_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    folder = repository(tmp_path, "birds", [ROW])
    file = folder / "birds" / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(QuestionError, match=r"test-00000-of-00001\.parquet of the data set cannot be read"):
        hub_sets.read_folder(folder, "birds")


def test_300_damages_of_a_file_are_a_clear_error_or_leave_it_readable(tmp_path: Path) -> None:
    folder = repository(tmp_path, "birds", [ROW, {**ROW, "question": "Which bird?"}])
    file = folder / "birds" / "test-00000-of-00001.parquet"
    whole, drawn, refused = file.read_bytes(), random.Random(0), 0
    for number in range(300):
        damaged = bytearray(whole)
        for _ in range(drawn.randint(1, 4)):
            damaged[drawn.randrange(len(damaged))] ^= drawn.randint(1, 255)
        file.write_bytes(damaged[: drawn.randrange(len(damaged))] if number % 5 == 0 else damaged)
        try:
            hub_sets.read_folder(folder, "birds")
        except QuestionError:
            refused += 1
    assert refused > 100


def cached(folder: Path, subset: str, content: bytes) -> tuple[Path, Path]:
    """A folder laid out like the hub's cache, whose files are links to blobs named by their SHA-256; and the blob."""
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / "c0ffee" / subset / "test-00000-of-00001.parquet"
    for path in (blob, link):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(blob)
    return folder / "snapshots" / "c0ffee", blob


def test_a_file_damaged_in_the_cache_is_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path, "birds", [ROW, FIRST])
    content = (tmp_path / "birds" / "test-00000-of-00001.parquet").read_bytes()
    folder, blob = cached(tmp_path / "cache", "birds", content)
    place = content.index(b"red")
    blob.write_bytes(
        content[:place] + b"rod" + content[place + 3 :]
    )  # a file that parquet itself may still read
    asked: list[object] = []

    def download(repository: str, **settings: object) -> str:
        asked.append(settings["force_download"])
        if settings["force_download"]:
            blob.write_bytes(content)
        return str(folder)

    monkeypatch.setattr(hub_sets, "snapshot_download", download)
    hub_sets.load.cache_clear()
    assert hub_sets.load("hub:zoo/quiz/birds").questions[0] == RAVEN
    assert asked == [False, True]
    hub_sets.load.cache_clear()


@pytest.mark.parametrize(
    "name",
    ["hub:", "hub:mmlu", "hub:cais/mmlu/..", "hub:cais/mmlu/*", "hub:../../etc", "hub:a/b/c/d", "hub:a/b\n"],
)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(QuestionError, match="is not the name of a hub data set"):
        hub_sets.load(name)


def test_load_downloads_once_and_tells_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository(tmp_path, "birds", [*[FIRST] * 8, {**ROW, "choices": ["red", "red"]}])
    asked: list[tuple[str, object]] = []

    def download(repository: str, **settings: object) -> str:
        asked.append((repository, settings["allow_patterns"]))
        return str(folder)

    monkeypatch.setattr(hub_sets, "snapshot_download", download)
    hub_sets.load.cache_clear()
    bank = hub_sets.load("hub:zoo/quiz/birds")
    assert hub_sets.load("hub:zoo/quiz/birds") is bank
    assert asked == [("zoo/quiz", ["birds/test-*.parquet", "birds/validation-*.parquet"])]
    assert bank.title == "zoo/quiz/birds (left out: 1 equal options (Row 9))"
    hub_sets.load.cache_clear()


def test_a_refused_connection_is_a_clear_error(tmp_path: Path) -> None:
    script = "from backend.questions.hub_sets import load\nload('hub:cais/mmlu/astronomy')"
    # A process of its own: the hub's library reads these when it is imported.
    settings = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    last = run.stderr.strip().splitlines()[-1]
    assert "QuestionError: The data set 'cais/mmlu' cannot be had from the hub" in last
    assert "Check the connection, or upload the questions as a file." in last
