"""One list of words explains the pages' texts."""

import pytest

from app.documents import FIRST, documents
from app.glossary import glossary, marks
from tests.app.opened import PAGES, drawn, opened


def test_every_row_of_the_list_is_a_word() -> None:
    text = documents()[FIRST].read_text(encoding="utf-8")
    rows = [line for line in text[text.index("## Words") :].splitlines() if line.startswith("| ")]
    known = glossary()
    for row in rows[2:]:
        words = row.split("|")[1].strip()
        assert words == "L16H7" or all(word.strip() in known for word in words.split(","))
    assert known["logit"].startswith("a score of one token")
    assert known["corrupted"] == known["clean"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["The final token reads the tokens."], ["final token", "tokens"]),
        (["Net effects: the net effect of a node."], ["Net effects", "node"]),
        (["It says ", "the logit", ", with a logit."], ["logit"]),
        (["Logits of ☝️ logits"], ["Logits"]),
        (["A tokenizer is no word of the list, and nodal neither."], []),
        ([], []),
    ],
)
def test_each_word_is_explained_once_where_it_comes_first(parts: list[str], words: list[str]) -> None:
    assert [parts[one.part][one.start : one.end] for one in marks(parts)] == words


def test_strong_parts_may_be_what_a_user_typed_and_are_left_alone() -> None:
    assert [one.part for one in marks(["", "bank", " of a river: bank"])] == [2]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_explains_words(page: str) -> None:
    marked = [data for data in drawn(opened(page), "notice") if data["marks"]]
    assert marked or page in ("drift", "patch_lens")  # whose first texts have none of the words
    for data in marked:
        for part, start, end, meaning in data["marks"]:
            assert data["parts"][part][0][start:end].strip()
            assert meaning in glossary().values()


def test_a_question_that_somebody_typed_explains_no_word() -> None:
    question = '{"stem": "What is a token, a logit or a bank?", "options": ["a node", "a sweep"]}'
    at = opened("story", question=question)
    typed = [
        data for data in drawn(at, "notice") if data["parts"] and "What is a token" in data["parts"][-1][0]
    ]
    assert typed
    assert not any(data["marks"] for data in typed)
