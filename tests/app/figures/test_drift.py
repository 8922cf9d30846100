import numpy as np

from app.figures.drift import against


def test_the_first_model_across_and_the_second_up_on_equal_scales() -> None:
    figure = against(
        np.array([[0, 1]], np.float32),
        np.array([[0.5, -1]], np.float32),
        ["L0H0", "<b>"],
        title="<i>",
        what="effect, logits",
    )
    (marks,) = figure.data
    assert list(marks.x) == [0, 1]
    assert list(marks.y) == [0.5, -1]
    assert list(marks.text) == ["L0H0", "&lt;b&gt;"]
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.xaxis.range[0] < -1 < 1 < figure.layout.xaxis.range[1]
    assert figure.layout.xaxis.nticks == figure.layout.yaxis.nticks > 0
    assert figure.layout.yaxis.title.text == "second: effect, logits"
    assert figure.layout.title.text == "&lt;i&gt;"
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (line.y0, line.y1)


def test_values_that_are_all_alike_are_drawn() -> None:
    figure = against(
        np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), ["a", "b"], title="", what=""
    )
    assert figure.layout.xaxis.range[0] < 0 < figure.layout.xaxis.range[1]
