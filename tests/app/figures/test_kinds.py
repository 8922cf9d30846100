import numpy as np

from app.figures.kinds import Told, mass

ROLES = ["stem", "label 0", "option 0", "label 1", "option 1", "final"]


def test_right_and_wrong_are_apart() -> None:
    assert Told(1, is_right=True).kinds(ROLES) == [
        "stem",
        "wrong label",
        "wrong option",
        "right label",
        "right option",
        "final",
    ]


def test_without_a_right_one_the_one_said_is_told_from_the_others() -> None:
    told = Told(0, is_right=False)
    assert told.kinds(ROLES) == ["stem", "said label", "said option", "other label", "other option", "final"]


def test_mass_is_summed_over_the_kind() -> None:
    rows = np.array([[0.1, 0.2, 0, 0.3, 0, 0.4]], np.float32)
    assert np.allclose(mass(rows, ROLES, Told(1, is_right=True), "right label"), [0.3])
    assert np.allclose(mass(rows, ROLES, Told(1, is_right=False), "other label"), [0.2])


def test_kinds_share_the_whole_row() -> None:
    rows = np.array([[0.1, 0.2, 0, 0.3, 0, 0.4]], np.float32)
    told = Told(0, is_right=True)
    assert np.isclose(sum(mass(rows, ROLES, told, kind)[0] for kind in told.kinds(ROLES)), 1)
