"""What can be patched: the kinds of activations that a model computes at every layer and position."""

from dataclasses import dataclass
from typing import Literal, Protocol


class HeadCounts(Protocol):
    """A model's shape, as far as it decides how many cells a component has."""

    @property
    def heads(self) -> int: ...

    @property
    def kv_heads(self) -> int: ...


@dataclass(frozen=True)
class Component:
    """One kind of activation.

    Attributes:
        name: as requests name it.
        title: for people.
        heads: which heads have one each, and None where a position has only one.
        in_parallel: whether a model whose attention and MLP read the same input has it too.
        reaches_later_positions: whether a patch at one position changes later positions of its own layer.
    """

    name: str
    title: str
    heads: Literal["head", "kv_head"] | None = None
    in_parallel: bool = True
    reaches_later_positions: bool = False

    @property
    def short(self) -> str:
        """The title without its explanation.

        >>> COMPONENTS["k"].short, COMPONENTS["mlp_out"].short
        ('k', 'what the MLP writes')
        """
        return self.title.partition(":")[0]

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of an array with one number for each of its cells.

        >>> COMPONENTS["k"].axes, COMPONENTS["mlp_out"].axes
        (('layer', 'kv_head', 'position'), ('layer', 'position'))
        """
        return ("layer", "position") if self.heads is None else ("layer", self.heads, "position")

    @property
    def role_axes(self) -> tuple[str, ...]:
        """The same with all positions of a role taken together.

        >>> COMPONENTS["mlp_out"].role_axes
        ('layer', 'role')
        """
        return (*self.axes[:-1], "role")

    @property
    def question_axes(self) -> tuple[str, ...]:
        """`role_axes` of each question."""
        return ("question", *self.role_axes)

    def head_count(self, shape: HeadCounts) -> int | None:
        """How many heads have one; None for a component without heads."""
        return {None: None, "head": shape.heads, "kv_head": shape.kv_heads}[self.heads]


COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        Component("z", "z: a head's output", "head"),  # before the output projection
        Component("q", "q: a head's query", "head"),  # before the rotary embedding
        Component(
            "k", "k: a kv head's key", "kv_head", reaches_later_positions=True
        ),  # before the rotary embedding
        Component("v", "v: a kv head's value", "kv_head", reaches_later_positions=True),
        Component("pattern", "pattern: where a head looks", "head"),  # from one position
        Component("resid_pre", "residual stream before a layer", reaches_later_positions=True),
        Component("resid_mid", "residual stream before the MLP", in_parallel=False),
        Component("attn_out", "what attention writes"),
        Component("mlp_out", "what the MLP writes"),
    )
}
