"""The sentence above patched heads: what helps most, what works against it, where the chosen head stands."""

import numpy as np

from app.components.notice import quiet, sentence
from app.components.tokens import token_name
from app.figures.patched import Effects, Values
from app.selection import Selection
from backend.contract.components import COMPONENTS
from backend.contract.head import HeadRef

Cell = tuple[int, int, int]


def show_lead(effects: Effects, unit: str, selection: Selection) -> None:
    """Draw it for all exact effects `[layer, head, position]`; heads may be kv heads."""
    verb = "helps" if selection.chosen.direction == "denoise" else "matters"
    helps = np.asarray(effects.exact * np.sign(effects.scale.reference), np.float32)
    most, least = _cell(helps, int(np.nanargmax(helps))), _cell(helps, int(np.nanargmin(helps)))
    named = [cell for cell, ours in ((most, helps[most] > 0), (least, helps[least] < 0)) if ours]
    if not any(effects.scale.stands_out(float(helps[cell])) for cell in named):
        largest = most if helps[most] > -helps[least] else least
        sentence(
            "Nothing stands out. Put in alone, even ",
            _name(largest, effects, selection),
            f" {_does(effects, largest, unit, selection)}.",
            key="strongest cell",
            lead=True,
        )
    else:
        parts = ["Put in alone, "] if most in named else [f"Put in alone, nothing {verb}. "]
        if most in named:
            parts += [
                _name(most, effects, selection),
                f" {verb} most: it {_does(effects, most, unit, selection)}. ",
            ]
        if least in named:
            parts += [
                _name(least, effects, selection),
                f" works most against it: it {_does(effects, least, unit, selection)}.",
            ]
        parts[-1] = parts[-1].rstrip()
        sentence(*parts, key="strongest cell", lead=True)
    _show_chosen(helps, effects, unit, selection)


def _show_chosen(helps: Values, effects: Effects, unit: str, selection: Selection) -> None:
    """Where the head in the address stands among the heads, each by the cell in which it does most."""
    head = selection.chosen.head
    if COMPONENTS[selection.chosen.component].heads != "head" or head is None:
        return
    if head.layer >= helps.shape[0] or head.head >= helps.shape[1]:
        return
    sizes = np.nan_to_num(np.abs(helps)).max(-1)
    column = int(np.nan_to_num(np.abs(helps[head.layer, head.head])).argmax())
    place = int((sizes > sizes[head.layer, head.head]).sum()) + 1
    does = _does(effects, (head.layer, head.head, column), unit, selection)
    quiet(f"{head}, the head in the address, {does}: number {place} of {sizes.size} by size.", "chosen head")


def _cell(values: Values, flat: int) -> Cell:
    layer, head, column = np.unravel_index(flat, values.shape)
    return int(layer), int(head), int(column)


def _name(cell: Cell, effects: Effects, selection: Selection) -> str:
    layer, head, column = cell
    is_kv_head = COMPONENTS[selection.chosen.component].heads == "kv_head"
    name = f"kv head {head} of layer {layer}" if is_kv_head else str(HeadRef(layer, head))
    if len(effects.positions) == 1:
        return name
    return f"{name} at token {effects.positions[column] + 1}, '{token_name(effects.tokens[column])}',"


def _does(effects: Effects, cell: Cell, unit: str, selection: Selection) -> str:
    value = float(effects.exact[cell])
    if selection.chosen.shown == "recovered":
        return share_in_words(value, selection.chosen.direction)
    return f"changes the metric by {value:+.2g} {unit}"


def share_in_words(share: float, direction: str) -> str:
    """How a patch changes the difference between both runs, in words.

    >>> share_in_words(0.62, "denoise"), share_in_words(0.3, "noise"), share_in_words(-0.44, "denoise")
    ('brings back 62% of the difference', 'takes away 30% of the difference', 'widens the difference by 44%')
    """
    if share < 0:
        return f"widens the difference by {-share:.0%}"
    return f"{'brings back' if direction == 'denoise' else 'takes away'} {share:.0%} of the difference"
