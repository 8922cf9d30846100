"""Cards of uploads come from an index that is right whatever happened to it, and read no bank twice."""

import json
from pathlib import Path

import pytest

from backend.contract.cards import BankCard
from backend.home import home
from backend.questions import upload_index, uploads

LINE = b"What color is a raven?,red,black,white,green,B\n"


def index() -> Path:
    return home() / "banks" / upload_index.NAME


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the banks that are read."""
    names: list[str] = []
    load = uploads.load

    def counting(name: str) -> object:
        names.append(name)
        return load(name)

    monkeypatch.setattr(uploads, "load", counting)
    return names


def test_each_bank_is_read_once(loads: list[str]) -> None:
    kept = [uploads.keep(f"{number}.csv", LINE * (number + 1)) for number in range(4)]
    cards = upload_index.cards()
    assert {card.name for card in cards} == {bank.name for bank in kept}
    assert BankCard(kept[2].name, "2.csv", 3, ("general knowledge",)) in cards
    assert len(loads) == 4
    assert upload_index.cards() == cards
    assert len(loads) == 4
    uploads.keep("more.csv", LINE)
    uploads.delete(kept[0].name)
    assert len(upload_index.cards()) == 4
    assert len(loads) == 5


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        lambda entry: {},
        lambda entry: {**entry, "questions": "3"},
        lambda entry: {**entry, "title": None},
        lambda entry: {**entry, "subjects": [1]},
        lambda entry: {**entry, "state": [0, 0]},
        lambda entry: [],
    ],
)
def test_a_damaged_index_is_made_again(damage: object, loads: list[str]) -> None:
    uploads.keep("birds.csv", LINE)
    cards = upload_index.cards()
    content = json.loads(index().read_text(encoding="utf-8").split("\n")[1])
    text = (
        damage
        if isinstance(damage, str)
        else json.dumps({name: damage(entry) for name, entry in content.items()})  # type: ignore[operator]
    )
    text = f"{upload_index._digest(text.encode()).decode()}\n{text}"
    index().write_text(text, encoding="utf-8")
    assert upload_index.cards() == cards
    assert len(loads) == 2
    assert upload_index.cards() == cards
    assert len(loads) == 2


def test_no_changed_digit_of_the_index_is_believed() -> None:
    uploads.keep("birds.csv", LINE)
    cards = upload_index.cards()
    whole = index().read_bytes()
    for place, byte in enumerate(whole):
        if chr(byte).isdigit():
            index().write_bytes(whole[:place] + bytes([48 + (byte - 47) % 10]) + whole[place + 1 :])
            assert upload_index.cards() == cards


def test_a_damaged_upload_is_not_listed_and_takes_no_other_with_it() -> None:
    damaged, whole = uploads.keep("one.csv", LINE), uploads.keep("two.csv", LINE)
    uploads.path(damaged.name).write_bytes(b"{}")
    assert [card.name for card in upload_index.cards()] == [whole.name]


def test_a_folder_that_cannot_be_written_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    bank = uploads.keep("one.csv", LINE)
    monkeypatch.setattr(upload_index, "write_whole", refuse)
    assert [card.name for card in upload_index.cards()] == [bank.name]
