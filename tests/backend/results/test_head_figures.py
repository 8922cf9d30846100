"""Figures of heads, worked out by hand for one head and two or three questions."""

import numpy as np
import pytest

from backend.results.head_figures import KINDS, Readings, halves, means, net, of_questions

NAN = np.nan


def readings(**given: object) -> Readings:
    """One layer, one head, two questions with the labels A and B: A is right, then B."""
    one = np.zeros((2, len(KINDS), 1, 1), np.float32)
    label = np.array([[0.6, 0.2], [0.1, 0.3]], np.float32)[..., None, None]
    usual: dict[str, object] = {
        "right": np.array([0, 1]),
        "predicted": np.array([0, 0]),
        "half": np.array([0, 1]),
        "attention": one,
        "weighted": one,
        "labels": label,
        "written": np.array([[1, 0], [0, 3]], np.float32)[..., None, None],
        "lens": np.array([[2, 0], [1, 0]], np.float32)[..., None],
        "scores": np.array([[1, 0], [1, 0]], np.float32)[..., None, None],
        "entropy": np.zeros((2, 1, 1), np.float32),
        **dict.fromkeys(("total", "direct", "indirect"), np.array([0.5, NAN], np.float32)[:, None, None]),
    }
    return Readings(**{**usual, **given})  # type: ignore[arg-type]


def figure(name: str, **given: object) -> list[object]:
    return np.squeeze(of_questions(readings(**given))[name], (-2, -1)).tolist()


def test_shares_on_the_labels() -> None:
    assert figure("label_mass") == pytest.approx([0.8, 0.4])
    assert figure("right_share") == pytest.approx([0.75, 0.75])
    assert figure("right_label_share") == [
        pytest.approx([0.75, NAN], nan_ok=True),
        pytest.approx([NAN, 0.75], nan_ok=True),
    ]
    assert figure("wrong_label_share") == [
        pytest.approx([NAN, 0.25], nan_ok=True),
        pytest.approx([0.25, NAN], nan_ok=True),
    ]
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert figure("label_entropy") == pytest.approx([entropy, entropy])


def test_the_largest_score_is_the_right_one_or_not() -> None:
    assert figure("qk_top_right") == [1, 0]


def test_net_effects_by_letter() -> None:
    assert figure("net") == [1, 3]
    assert figure("net_right") == [pytest.approx([1, NAN], nan_ok=True), pytest.approx([NAN, 3], nan_ok=True)]
    assert figure("net_wrong") == [
        pytest.approx([NAN, -1], nan_ok=True),
        pytest.approx([-3, NAN], nan_ok=True),
    ]


def test_the_leader_is_found_after_centring() -> None:
    """A leads on both questions, but over their mean A leads on the first and B on the second."""
    assert figure("leader") == [2, 2]  # net for A is 1 and -3: 2 and -2 around the mean
    assert figure("leader", written=np.zeros((2, 2, 1, 1), np.float32)) == [0, 0]


def test_content_counts_the_newline_and_the_mean_of_the_wrong_options() -> None:
    attention = np.zeros((2, len(KINDS), 1, 1), np.float32)
    for kind, value in (
        ("right option end", 0.2),
        ("right newline", 0.3),
        ("wrong newline", 0.1),
        ("right label", 0.9),
    ):
        attention[:, KINDS.index(kind)] = value
    assert figure("content", attention=attention) == pytest.approx([0.4, 0.4])
    three = np.array([[0.6, 0.2, 0.1], [0.1, 0.3, 0.1]], np.float32)[..., None, None]
    wide = {
        name: np.concatenate([getattr(readings(), name)] * 2, axis=1)[:, :3]
        for name in ("written", "lens", "scores")
    }
    assert figure("content", attention=attention, labels=three, **wide) == pytest.approx([0.45, 0.45])


def test_a_question_with_fewer_options_counts_with_its_own() -> None:
    labels = np.array([[0.4, 0.4, NAN], [0.2, 0.2, 0.2]], np.float32)[..., None, None]
    wide = {
        name: np.concatenate([getattr(readings(), name)] * 2, axis=1)[:, :3]
        for name in ("written", "lens", "scores")
    }
    assert figure("label_entropy", labels=labels, **wide) == pytest.approx([1, 1])
    assert np.isnan(figure("wrong_label_share", labels=labels, **wide)[0][2])  # type: ignore[index]


def test_questions_without_a_figure_do_not_count() -> None:
    found = readings()
    mean = means(of_questions(found), found.right, found.sample("all"), draws=10)
    assert mean["total"].value.tolist() == [[0.5]]
    assert np.isnan(mean["total"].low).all()
    assert mean["right_label_share"].value[:, 0, 0].tolist() == pytest.approx([0.75, 0.75])


def test_each_right_letter_weighs_the_same() -> None:
    values = {"x": np.array([1, 1, 1, 5], np.float32)[:, None, None]}
    mean = means(values, np.array([0, 0, 0, 1]), np.ones(4, bool), draws=10)
    assert mean["x"].value.tolist() == [[3]]


def test_samples() -> None:
    found = readings()
    assert found.sample("all").tolist() == [True, True]
    assert found.sample("second half").tolist() == [False, True]
    assert found.sample("right").tolist() == [True, False]
    assert found.sample("right, second half").tolist() == [False, False]


def test_halves_hold_stems_together_and_letters_apart() -> None:
    rights = [0, 1, 2, 3] * 4
    half = halves(rights, [str(number) for number in range(16)])
    assert all(sum(half[place::4]) == 2 for place in range(4))
    asked_four_times = [str(number // 4) for number in range(16)]
    assert len({*zip(asked_four_times, halves(rights, asked_four_times), strict=True)}) == 4


def test_net_leaves_out_labels_that_are_not_there() -> None:
    assert net(np.array([[3, 1, NAN]], np.float32))[0].tolist() == pytest.approx([2, -2, NAN], nan_ok=True)
