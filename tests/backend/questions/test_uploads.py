import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.contract.errors import QuestionError, StoreError
from backend.contract.files import Reading
from backend.contract.question import Question
from backend.home import home
from backend.questions import uploads
from backend.questions.banks import load_bank

LINE = b"What color is a raven?,red,black,white,green,B\n"
RAVEN = Question("What color is a raven?", ("red", "black", "white", "green"), 1)


def files() -> list[Path]:
    return sorted((home() / "banks").iterdir())


def test_a_kept_file_is_a_bank_named_by_its_content() -> None:
    bank = uploads.keep("birds.csv", LINE)
    assert uploads.NAME.fullmatch(bank.name)
    assert (bank.title, bank.questions) == ("birds.csv", (RAVEN,))
    assert uploads.names() == (bank.name,)
    assert uploads.load(bank.name) == bank


def test_the_same_file_again_is_the_same_bank() -> None:
    assert uploads.keep("birds.csv", LINE) == uploads.keep("birds.csv", LINE)
    assert len(files()) == 1
    assert uploads.keep("birds.csv", LINE * 2).name != uploads.keep("birds.csv", LINE).name


def test_jsonl_is_kept_too() -> None:
    data = json.dumps(RAVEN.to_json()).encode()
    assert uploads.keep("birds.JSONL", data).questions == (RAVEN,)


def test_the_users_name_is_never_a_path() -> None:
    bank = uploads.keep("../../../etc/\x00<b>\ud800" + "x" * 500 + ".csv", LINE)
    assert [file.parent for file in files()] == [home() / "banks"]
    assert [file.stem for file in files()] == [bank.name]
    assert bank.title.startswith("../../../etc/ <b> xxx")
    assert len(bank.title) == uploads.MAX_TITLE
    assert uploads.load(bank.name).title == bank.title


@pytest.mark.parametrize("name", ["birds.xlsx", "birds", "", ".csv"])
def test_other_kinds_of_file_are_refused(name: str) -> None:
    with pytest.raises(QuestionError, match=r"is none of \.csv, \.tsv, \.json"):
        uploads.keep(name, LINE)


def test_the_title_tells_what_was_left_out() -> None:
    bank = uploads.keep("birds.csv", LINE * 8 + b"Why?,a,a,b,c,A\n")
    assert (bank.title, len(bank.questions)) == ("birds.csv (left out: 1 equal options (Line 9))", 8)
    assert uploads.load(bank.name).title == bank.title


def test_a_file_is_kept_as_it_is_said_to_be_read() -> None:
    data = b"question,option1,option2,answer\nWhy?,a,b,1\n"
    with pytest.raises(QuestionError, match="Say which it is"):
        uploads.keep("x.csv", data)
    one, other = (uploads.keep("x.csv", data, Reading(answers=answers)) for answers in ("from-0", "from-1"))
    assert [bank.questions[0].answer for bank in (one, other)] == [1, 0]
    assert one.name != other.name


def test_a_file_with_mistakes_leaves_nothing_behind() -> None:
    with pytest.raises(QuestionError, match=r"^Line 2: "):
        uploads.keep("birds.csv", LINE + b"x,y\n")
    assert uploads.names() == ()


def test_a_bank_outlives_the_process() -> None:
    script = f"from backend.questions import uploads; print(uploads.keep('birds.csv', {LINE!r}).name)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert uploads.load(run.stdout.strip()).questions == (RAVEN,)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", None])
def test_a_damaged_file_is_a_clear_error(damage: bytes | None) -> None:
    bank = uploads.keep("birds.csv", LINE)
    (file,) = files()
    file.write_bytes(file.read_bytes()[:-10] if damage is None else damage)
    with pytest.raises(QuestionError, match=f"{bank.name} is damaged on the disk"):
        uploads.load(bank.name)
    assert uploads.keep("birds.csv", LINE) == uploads.load(bank.name)


def test_a_missing_file_is_a_clear_error() -> None:
    bank = uploads.keep("birds.csv", LINE)
    files()[0].unlink()
    with pytest.raises(QuestionError, match=r"cannot be read .*Upload its file again"):
        uploads.load(bank.name)


@pytest.mark.parametrize(
    "name", ["upload-", "upload-../../etc/passwd", "upload-0123456789AB", "upload-0123456789ab\n"]
)
def test_only_names_of_our_making_are_opened(name: str) -> None:
    with pytest.raises(QuestionError, match="is not the name of an uploaded bank"):
        uploads.load(name)


def test_a_full_disk_leaves_the_old_and_nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = uploads.keep("birds.csv", LINE)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot be kept in .* \(No space left on device\)"):
        uploads.keep("birds.csv", LINE * 2)
    assert [file.stem for file in files()] == [kept.name]


def test_the_largest_upload_is_kept_and_loaded() -> None:
    data = b"".join(LINE.replace(b"raven", b"raven %d" % number) for number in range(5000))
    bank = uploads.keep("many.csv", data)
    assert uploads.load(bank.name).questions == bank.questions
    assert len(bank.questions) == 5000


def test_a_deleted_bank_is_gone_and_said_to_be() -> None:
    bank = uploads.keep("birds.csv", LINE)
    uploads.delete(bank.name)
    uploads.delete(bank.name)
    assert uploads.names() == ()
    with pytest.raises(QuestionError, match="It may have been deleted"):
        load_bank(bank.name)
    for name in ("knowledge", "../x", "upload-"):
        with pytest.raises(QuestionError, match="is not the name of an uploaded bank"):
            uploads.delete(name)


def test_uploads_are_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads.keep("one.csv", LINE)
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)
    with pytest.raises(QuestionError, match="Delete one that you do not need"):
        uploads.keep("two.csv", LINE)
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 2)
    monkeypatch.setattr(uploads, "MAX_BYTES", 100)
    with pytest.raises(QuestionError, match="Delete one that you do not need"):
        uploads.keep("two.csv", LINE)
    assert len(files()) == 1


def test_the_same_file_again_is_kept_also_where_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)
    bank = uploads.keep("birds.csv", LINE)
    assert uploads.keep("birds.csv", LINE) == bank
    with pytest.raises(QuestionError, match="at most 1 banks"):
        uploads.keep("other.csv", LINE)
