import numpy as np

from app.figures.gaze import LEAST_SHARE, arcs, looks_at, on_labels, writers
from backend.contract.head import HeadRef

ROLES = ("stem", "label 0", "option 0", "label 1", "option 1", "final")


def test_writers_are_the_heads_that_write_most_strongest_first() -> None:
    net = np.array([[0.1, 1.0], [-3.0, 0.5]], np.float32)
    assert writers(net, 1.5) == [HeadRef(0, 1), HeadRef(1, 1), HeadRef(0, 0)]
    assert writers(net, 1.5, count=1) == [HeadRef(0, 1)]


def test_a_head_that_writes_next_to_nothing_is_no_writer_but_there_is_always_one() -> None:
    net = np.array([[0.01, 1.0]], np.float32)
    assert writers(net, 10.0) == [HeadRef(0, 1)]
    assert writers(np.array([[-1.0, -2.0]], np.float32), 10.0) == [HeadRef(0, 0)]


def test_arcs_have_the_models_own_attention_and_leave_out_what_is_weak() -> None:
    final = np.zeros((1, 2, 6), np.float32)
    final[0, 1] = [0.5, 0.4, LEAST_SHARE / 2, 0.05, 0, 0.03]
    drawn = arcs(final, [HeadRef(0, 1)])
    assert [arc.position for arc in drawn] == [0, 1, 3, 5]
    assert [arc.share for arc in drawn] == [final[0, 1, at] for at in (0, 1, 3, 5)]
    assert not arcs(final, [])


def test_a_head_looks_at_a_label_only_where_enough_of_its_attention_is_on_it() -> None:
    final = np.zeros((1, 1, 6), np.float32)
    final[0, 0] = [0.3, 0.1, 0, 0.5, 0, 0.1]
    shares = on_labels(final, ROLES, HeadRef(0, 0), 2)
    assert shares.tolist() == [np.float32(0.1), np.float32(0.5)]
    assert looks_at(shares) == 1
    assert looks_at(np.array([0.1, 0.15], np.float32)) is None
