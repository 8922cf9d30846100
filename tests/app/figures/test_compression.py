import numpy as np
import pytest

from app.figures.compression import compression_curve
from backend.contract.request import QuestionSet, Request
from backend.contract.result import Result
from tests.app.made_up import made_up


@pytest.fixture
def result() -> Result:
    return made_up(
        Request.build("compression", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )


def test_the_curve_its_interval_and_what_it_is_held_against(result: Result) -> None:
    figure = compression_curve(result, "t")
    traces = {trace.name: trace for trace in figure.data}
    loss = traces["the largest components"]
    assert list(loss.x) == ["0", "1", "2", "3", "4", "6"]
    assert np.allclose(loss.y, result["loss"])
    assert np.allclose(loss.error_y.array, 0.1)
    assert np.allclose(loss.error_y.arrayminus, 0.05)
    random = [trace for trace in figure.data if trace.name == "random subspaces"]
    assert [trace.showlegend for trace in random] == [True, False, False]
    assert np.allclose(random[2].y, result["loss_random"][:, 2])
    assert random[0].line.width < loss.line.width
    for name, value in (("whole model", 0.2), ("head ablated", 0.6)):
        assert set(np.round(traces[name].y, 5)) == {value}
        assert traces[name].line.dash != "solid"
