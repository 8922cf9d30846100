import numpy as np

from app.figures.labels import letters_bars, probability_bars, written_bars
from app.figures.layers import lens_lines, mlp_bars

LABELS = ("A", "<b>B</b>")


def test_probabilities_mark_the_right_label_in_words() -> None:
    figure = probability_bars(np.array([0.25, 0.75], np.float32), LABELS, ("x", "<i>y</i>"), right="<b>B</b>")
    (bar,) = figure.data
    assert np.allclose(bar.x, [0.25, 0.75])
    assert list(bar.y) == ["A", "&lt;b&gt;B&lt;/b&gt; ✓ right"]
    assert bar.customdata[1] == "&lt;i&gt;y&lt;/i&gt;"
    assert bar.marker.color[0] != bar.marker.color[1]


def test_written_is_centred_on_zero() -> None:
    figure = written_bars(np.array([2, -1], np.float32), LABELS, None, "title")
    low, high = figure.layout.yaxis.range
    assert low == -high
    assert high > 2
    assert figure.layout.yaxis.title.text == "logits"


def test_the_lens_has_a_line_for_each_label() -> None:
    lens = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    figure = lens_lines(lens, LABELS, right="A")
    assert [list(line.y) for line in figure.data] == [[0, 2, 4], [1, 3, 5]]
    assert figure.data[0].line.width > figure.data[1].line.width


def test_ten_labels_have_ten_looks() -> None:
    figure = lens_lines(np.zeros((2, 10), np.float32), [str(label) for label in range(10)], right=None)
    assert len({(line.line.color, line.line.dash, line.marker.symbol) for line in figure.data}) == 10


def test_mlp_bars_carry_their_intervals() -> None:
    values = np.array([1, -2], np.float32)
    figure = mlp_bars(values, "title", (values - np.float32(0.5), values + 1))
    assert np.allclose(figure.data[0].error_y.array, 1)
    assert np.allclose(figure.data[0].error_y.arrayminus, 0.5)


def test_letters_predicted_stand_beside_letters_right() -> None:
    figure = letters_bars(np.array([0.9, 0.1], np.float32), np.array([0.5, 0.5], np.float32), ("A", "B"))
    assert figure.layout.yaxis.range[1] > 0.9
    assert {bar.name: list(np.round(bar.y, 1)) for bar in figure.data} == {
        "right": [0.5, 0.5],
        "predicted": [0.9, 0.1],
    }


def test_a_title_with_markup_stays_text() -> None:
    assert (
        mlp_bars(np.array([1], np.float32), "Written for <b>", None).layout.title.text
        == "Written for &lt;b&gt;"
    )
