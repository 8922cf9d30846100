"""A letter has one colour in all pictures; orange and blue are for signs alone."""

import colorsys

import numpy as np
import pytest

from app.figures.labels import letters_bars, probability_bars
from app.figures.layers import lens_lines
from app.figures.letters import letter_colour
from app.figures.style import AGAINST, COLOURS, FOR
from app.figures.subspace import Look, scene
from app.figures.subspace_points import points_frame
from backend.contract.request import QuestionSet, Request
from tests.app.made_up import made_up

LABELS = list("ABCD")
OWN = [letter_colour(place) for place in range(4)]


def hue(colour: str) -> float:
    """In degrees."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 360 * colorsys.rgb_to_hls(red, green, blue)[0]


def test_a_letter_has_one_colour_in_all_pictures() -> None:
    probs = np.full(4, 0.25, np.float32)
    assert list(probability_bars(probs, LABELS, ["w", "x", "y", "z"], "B").data[0].marker.color) == OWN
    assert [line.line.color for line in lens_lines(np.zeros((2, 4), np.float32), LABELS, "B").data] == OWN
    for bars in letters_bars(probs, probs, LABELS).data:
        assert list(bars.marker.color) == OWN


@pytest.mark.parametrize("colour", ["label", "letter", "place"])
def test_in_the_space_of_a_head_too_also_where_not_every_letter_is_right(colour: str) -> None:
    request = Request.build("subspace", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    figure = scene(points_frame(made_up(request), (0, 1, 2)), (0, 1, 2), Look(colour), "")
    found = {trace.name: trace.marker.color for trace in figure.data if trace.x[0] is not None}
    names = LABELS if colour != "place" else list("1234")
    assert found
    for name, own in zip(names, OWN, strict=True):
        assert all(shade == own for shown, shade in found.items() if shown.endswith(name))


def test_orange_and_blue_stand_for_signs_alone() -> None:
    for sign in (FOR, AGAINST):
        assert all(abs((hue(colour) - hue(sign) + 180) % 360 - 180) > 20 for colour in COLOURS[:-1])
