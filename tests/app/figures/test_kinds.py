import numpy as np

from app.figures.kinds import kinds_of, mass

ROLES = ["stem", "label 0", "option 0", "label 1", "option 1", "final"]


def test_right_and_wrong_are_apart() -> None:
    assert kinds_of(ROLES, 1) == [
        "stem",
        "wrong label",
        "wrong option",
        "right label",
        "right option",
        "final",
    ]
    assert kinds_of(ROLES, None) == ["stem", "label", "option", "final"]


def test_mass_is_summed_over_the_kind() -> None:
    rows = np.array([[0.1, 0.2, 0, 0.3, 0, 0.4]], np.float32)
    assert np.allclose(mass(rows, ROLES, 1, "right label"), [0.3])
    assert np.allclose(mass(rows, ROLES, None, "label"), [0.5])


def test_kinds_share_the_whole_row() -> None:
    rows = np.array([[0.1, 0.2, 0, 0.3, 0, 0.4]], np.float32)
    assert np.isclose(sum(mass(rows, ROLES, 0, kind)[0] for kind in kinds_of(ROLES, 0)), 1)
