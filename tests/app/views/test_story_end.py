"""Story's end: what is quoted, the address, and the file to take away."""

import csv
import io
import json
from urllib.parse import parse_qs

import numpy as np
import pytest

from app.components.story_end import story_sheet
from app.components.story_parts import Answer
from app.figures.story_sheet import margin_csv, story_html
from app.figures.waterfall import Margin
from app.selection import select
from app.state import Chosen
from backend.contract.question import Question
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened


def answered(question: Question) -> Answer:
    client = FakeClient()
    selection, _ = select(Chosen(question=question), client)
    prediction = client.find(selection.ask("prediction"))
    assert prediction is not None
    return Answer(selection, prediction)


def test_three_sentences_of_the_page_and_its_address_can_be_copied() -> None:
    at = opened("story", item="2", hidden="L3H2")
    quoted = at.code[0].value.split("\n")
    assert len(quoted) == 3
    assert set(quoted) <= set(notices(at, "lead"))
    assert parse_qs(at.code[1].value.partition("?")[2])["item"] == ["2"]
    assert parse_qs(at.code[1].value.partition("?")[2])["hidden"] == ["L3H2"]


def test_the_address_names_the_question_that_was_shown_unasked() -> None:
    asked = parse_qs(opened("story").code[1].value.partition("?")[2])
    assert (asked["bank"], asked["item"]) == (["copy-colors"], ["1"])


def test_where_sections_tell_nothing_fewer_sentences_are_quoted() -> None:
    at = opened("story", FakeClient(slow=("attribution", "attention")))
    assert not at.exception
    assert len(at.code[0].value.split("\n")) == 1


def test_the_file_needs_no_other_and_holds_what_a_user_typed_as_text() -> None:
    bad = "</script><script>alert(1)</script>"
    answer = answered(Question(f"What? {bad}", (bad, "<b>up</b>", "left"), None))
    attribution = FakeClient().find(answer.selection.ask("attribution"))
    page = story_sheet(
        answer, ("It says this.", None, "L3H2 writes.", "Looks."), attribution, "http://x/?a=<b>"
    )
    assert "alert(1)</script>" not in page
    assert "What? &lt;/script&gt;" in page
    assert "http://x/?a=&lt;b&gt;" in page
    assert page.count("plotly-graph-div") == 2
    assert 'src="http' not in page
    for told in ("It says this.", "L3H2 writes.", "Looks."):
        assert f"<p>{told}</p>" in page
    assert "prediction: " in page
    assert "attribution: " in page


def test_a_page_without_pictures_is_one_too() -> None:
    page = story_html("What?", [("Nothing.", None)], "")
    assert "plotly" not in page
    assert page.endswith("</body></html>")


def test_the_table_adds_up_to_the_margin() -> None:
    margin = Margin(
        np.array([[1, 2], [3, -4]], np.float32), np.array([0.5, -0.25], np.float32), 0.125, 0.0, 2.375
    )
    rows = list(csv.reader(io.StringIO(margin_csv(margin, "B"))))
    assert rows[0] == ["part", "logits for B minus the mean of the other letters"]
    assert [name for name, _ in rows[1:]] == [
        *("L0H0", "L0H1", "L1H0", "L1H1", "MLP 0", "MLP 1", "embedding", "biases", "margin")
    ]
    values = [float(value) for _, value in rows[1:]]
    assert sum(values[:-1]) == values[-1] == pytest.approx(2.375)


def test_both_files_are_offered() -> None:
    labels = [one.proto.label for one in opened("story").get("download_button")]
    assert labels == ["Take the figure away (HTML)", "Its numbers (CSV)"]
    question = json.dumps({"stem": "What?", "options": ["up", "down"]})
    at = opened("story", FakeClient(slow=("attribution",)), question=question)
    assert [one.proto.label for one in at.get("download_button")] == ["Take the figure away (HTML)"]
