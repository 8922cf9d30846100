"""The atlas as a table and a scatter, from a made-up result."""

import numpy as np
import pytest

from app.figures.atlas import AXES, SYMBOLS, atlas_frame, atlas_scatter, figures_of, smallest_gap, told
from backend.contract.request import QuestionSet, Request
from backend.results.head_classes import CLASSES, Thresholds, Verdicts, classify
from backend.results.head_figures import Mean
from tests.app.made_up import made_up

RESULT = made_up(Request.build("heads", questions=QuestionSet("knowledge", 24)))


def verdicts() -> Verdicts:
    return classify(figures_of(RESULT, "first half"), figures_of(RESULT, "second half"), 4, Thresholds())


def test_the_table_has_a_row_for_each_head() -> None:
    frame = atlas_frame(RESULT, verdicts(), "all")
    assert len(frame) == 24
    assert frame.loc["L3H2", "classes"] == "correct letter"
    assert frame.loc["L1H3", "classes"] == "content gatherer"
    assert frame.loc["L0H0", "classes"] == "none"
    assert frame.index[frame["negative"]].tolist() == ["L5H3"]
    assert frame.loc["L3H2", "gap"] == pytest.approx(0.75)
    assert frame.loc["L3H2", "layer"] == 3
    assert {*AXES} <= {*frame.columns}


def test_what_is_not_known_of_the_questions_answered_right_is_left_out() -> None:
    frame = atlas_frame(RESULT, verdicts(), "right")
    assert "qk_top_right" not in frame
    assert "bracket" not in frame
    assert "net" in frame


def test_the_text_of_a_head_says_its_class_and_figures() -> None:
    texts = told(atlas_frame(RESULT, verdicts(), "all"))
    assert texts[3 * 4 + 2].startswith("correct letter\nnet effect on the right letter +0.500")


def test_a_mark_for_each_head_by_its_first_class() -> None:
    frame = atlas_frame(RESULT, verdicts(), "all")
    figure = atlas_scatter(frame, "direct", "total", "class")
    assert [trace.name for trace in figure.data] == ["none", "correct letter", "content gatherer"]
    assert sum(len(trace.x) for trace in figure.data) == len(frame)
    assert figure.data[2].text[0] == "L1H3"
    assert figure.layout.xaxis.title.text == "direct effect, logits"
    assert len({*SYMBOLS}) == len(CLASSES)


def test_colours_of_a_column_are_centred_where_it_has_both_signs() -> None:
    frame = atlas_frame(RESULT, verdicts(), "all")
    signed = atlas_scatter(frame, "layer", "total", "net").layout.coloraxis
    assert signed.cmin == -signed.cmax
    assert atlas_scatter(frame, "layer", "total", "label_mass").layout.coloraxis.cmin == 0


def test_the_smallest_gap_is_that_of_letters_that_can_be_tested() -> None:
    share = np.array([0.8, 0.5, np.nan], np.float32)[:, None, None]
    mean = Mean(share, share, share)
    nothing = np.zeros((3, 1, 1), np.float32)
    other = Mean(nothing, nothing, nothing)
    assert smallest_gap({"right_label_share": mean, "wrong_label_share": other}).tolist() == [[0.5]]
    never = Mean(*[np.full((3, 1, 1), np.nan, np.float32)] * 3)
    assert np.isnan(smallest_gap({"right_label_share": never, "wrong_label_share": other})).all()
