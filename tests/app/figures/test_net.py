import numpy as np
import pytest

from app.figures.net import Node, net_effect, ranked, strongest_head


def test_net_effect_is_the_letter_less_the_mean_of_the_others() -> None:
    values = np.array([[3, 1, 2], [0, 6, 3]], np.float32)
    assert net_effect(values, 0).tolist() == [1.5, -4.5]
    assert net_effect(values, 1).tolist() == [-1.5, 4.5]


def test_net_effect_does_not_see_what_all_letters_get() -> None:
    values = np.array([3, 1, 2], np.float32)
    assert net_effect(values + 10, 2) == pytest.approx(net_effect(values, 2))


def test_ranked_by_distance_from_zero() -> None:
    heads, mlps = np.array([[0.5, -3]], np.float32), np.array([2], np.float32)
    nodes = ranked(heads, mlps, 3, [("embedding", -1.0)])
    assert [(node.name, node.value) for node in nodes] == [("L0H1", -3), ("MLP 0", 2), ("embedding", -1)]
    assert (nodes[0].layer, nodes[0].head) == (0, 1)
    assert nodes[1].head is None


@pytest.mark.parametrize(
    "node", ranked(np.array([[0.5, -3]], np.float32), np.array([2], np.float32), 9, [("embedding", -1.0)])
)
def test_a_node_is_known_by_its_name(node: Node) -> None:
    assert Node.named(node.name, node.value) == node


def test_strongest_head_is_the_largest_not_the_furthest() -> None:
    assert strongest_head(np.array([[1, -9], [2, 0]], np.float32)) == (1, 0)
