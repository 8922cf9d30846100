"""Story, fifth section: heads are replaced, and the letters move; then what share of the change they carry."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.cost import result_at_price
from app.components.job import result_of
from app.components.notice import quiet
from app.components.story_looks import listed
from app.components.story_parts import Answer, Parts, choose_heads, how_sure, page_link, tell
from app.corruption import ask_corruptions, corruption_params, corruptions_of
from app.figures.gaze import looks_at, on_labels
from app.figures.replaced import replaced_bars, set_shares, share_bars
from app.figures.shares import shares_hold
from app.figures.steering import among_labels
from app.letter import Letter
from app.navigation import PATCHING_PAGE
from app.state import bound, change
from backend.contract.client import Client
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.head import HeadRef
from backend.contract.request import Request
from backend.contract.result import Result

RANDOM_SETS = 20


def other_prompt(client: Client, answer: Answer) -> dict[str, Any] | None:
    """Draw the choice of the other prompt, among those that this question can have; as a request names it.

    None while they are not known, and where there is none.
    """
    selection, chosen = answer.selection, answer.selection.chosen
    letter = Letter(answer.said, answer.said, selection.right)
    possible = result_of(client, ask_corruptions(selection, letter), "corruptions")
    if possible is None:
        return None
    kinds = [kind for kind in corruptions_of(possible).offered if kind != "text" or chosen.corrupted]
    if not kinds:
        quiet(
            "No other prompt can be made from this question, so there is nothing to put in.",
            "no other prompt",
        )
        return None
    kind = chosen.corruption if chosen.corruption in kinds else kinds[0]
    st.selectbox(
        "The other prompt",
        kinds,
        format_func=lambda name: letter.worded(CORRUPTIONS[name].title),
        width=360,
        **bound("corruption", kind),
    )
    return corruption_params(kind, selection, letter, chosen.corrupted)


def joint_request(
    answer: Answer, corruption: dict[str, Any], heads: Sequence[HeadRef], **params: Any
) -> Request:
    """Ask for these heads replaced together; effects are on the net logit of the letter said."""
    return answer.selection.ask(
        "joint-patching",
        corruption=corruption,
        metric={"kind": "net_logit", "label": answer.said},
        heads=[[head.layer, head.head] for head in heads],
        **params,
    )


def live_parts(result: Result, labels: Sequence[str], said: str) -> Parts:
    """What the model says with these heads replaced, and how probable the letter said then is."""
    heads = result.scalars["sets"][0]["heads"]
    place = labels.index(said)
    before = float(among_labels(result["label_logits_clean"])[place])
    after = float(among_labels(result["label_logits"][0])[place])
    now = labels[int(result["label_logits"][0].argmax())]
    says = f"the model still says {now}" if now == said else f"the model says {now} instead of {said}"
    return (
        f"With {listed(heads)} doing what {'it does' if len(heads) == 1 else 'they do'} in the other prompt, ",
        says,
        f": {said} goes from {before:.0%} to {after:.0%}.",
    )


def can_share(result: Result) -> bool:
    """Whether the other prompt takes the letter away, so that there is a change to share out among heads."""
    return shares_hold(result) and not _says_the_same(result)


def _says_the_same(result: Result) -> bool:
    return bool(result["label_logits_corrupted"].argmax() == result["label_logits_clean"].argmax())


def share_parts(result: Result) -> Parts:
    """What the heads carry together, alone at most, and what random heads carry."""
    together, alone, random = (set_shares(result, kind) for kind in ("together", "alone", "random"))
    if not can_share(result):
        why = (
            "The model says the same letter in the other prompt"
            if _says_the_same(result)
            else "The margin of the letter is nearly the same in both prompts"
        )
        return (
            f"{why}, so ",
            "nothing can be told of the heads",
            ". Choose another prompt.",
        )
    count = len(alone)
    if count == 1:
        first: Parts = ("This head carries ", f"{float(together[0]):.0%}", " of the change.")
    else:
        most = result.scalars["sets"][0]["heads"][int(alone.argmax())]
        first = (
            f"Together these {count} heads carry ",
            f"{float(together[0]):.0%}",
            f" of the change; of each alone, {most} carries most: {float(alone.max()):.0%}.",
        )
    if not len(random):
        return first
    low, high = float(random.min()), float(random.max())
    verdict = "more than any of them" if float(together[0]) > high else "no more than such heads do"
    end = f" {len(random)} sets of random heads of the same layers carry {low:.0%} to {high:.0%}: this is {verdict}."
    return (*first[:-1], first[-1] + end)


def choose_replaced(
    heads: Sequence[HeadRef], kept: Sequence[str], looking: Sequence[HeadRef]
) -> list[HeadRef]:
    """Draw a switch for each head, and buttons for groups of them. Returns the heads to replace."""
    label = "Replace what these heads write by what they write in the other prompt"
    picked = choose_heads(label, heads, "kept", kept)
    row = st.container(horizontal=True)
    groups: dict[str, Sequence[HeadRef]] = {"All of them": heads, "None": ()}
    if looking and len(looking) < len(heads):
        count = len(looking)
        one = (
            f"The {count} that look at the label said"
            if count > 1
            else "The one that looks at the label said"
        )
        groups = {one: looking, **groups}
    for label, group in groups.items():
        spared = tuple(str(head) for head in heads if head not in group)
        row.button(label, key=f"group {label}", on_click=change, kwargs={"kept": spared})
    return picked


def show_holds(client: Client, answer: Answer, heads: Sequence[HeadRef], attention: Result) -> str | None:
    """Draw the switches, the letters, and the shares. Returns the sentence about the shares."""
    corruption = other_prompt(client, answer)
    if corruption is None:
        return None
    labels, roles = answer.selection.labels, attention.scalars["roles"]
    seen = {head: looks_at(on_labels(attention["final"], roles, head, len(labels))) for head in heads}
    looking = [head for head in heads if seen[head] == answer.place]
    chosen = choose_replaced(heads, answer.selection.chosen.kept, looking)
    live = result_of(client, joint_request(answer, corruption, chosen), "live") if chosen else None
    if live:
        _show_live(live, labels, answer.said)
    elif not chosen:
        runs = [("as it is", answer.prediction["label_logits"])]
        st.plotly_chart(replaced_bars(runs, labels), key="live", alt="Bars of the letters' probabilities")
        quiet("No head is replaced.", "no head replaced")
    request = joint_request(answer, corruption, heads, alone=True, random=RANDOM_SETS)
    exact = result_at_price(client, request, "exact", "Patch these heads exactly")
    told = _show_shares(exact, answer.said) if exact else None
    address = answer.address(
        component="z",
        direction="noise",
        where="final",
        shown="recovered",
        metric="net_logit",
        draws=1,
        corruption=corruption["kind"],
    )
    page_link(PATCHING_PAGE, "Every head, patched alone", ":material/swap_horiz:", address)
    _how_sure([result for result in (live, exact) if result])
    return told


def _show_shares(exact: Result, said: str) -> str:
    told = tell(share_parts(exact), "shares")
    if can_share(exact):
        st.plotly_chart(share_bars(exact), key="shares", alt="Bars of the shares that heads carry")
        st.caption(
            f"The other prompt: {exact.scalars['corruption']}. 100% means: with these heads replaced, the margin of "
            f"{said} is that of the other prompt. Each mark is a set of random heads."
        )
    return told


def _how_sure(results: list[Result]) -> None:
    how_sure(
        "holds",
        results,
        "Only what the heads write at the last token is replaced. All that comes after them is computed again. The "
        "check compares some runs with whole passes of the model.",
        "Other heads may take over when one is replaced, so that shares of single heads need not add up.",
    )


def _show_live(live: Result, labels: Sequence[str], said: str) -> None:
    tell(live_parts(live, labels, said), "live")
    runs = [
        ("as it is", live["label_logits_clean"]),
        ("heads replaced", live["label_logits"][0]),
        ("the other prompt", live["label_logits_corrupted"]),
    ]
    st.plotly_chart(replaced_bars(runs, labels), key="live", alt="Bars of the letters' probabilities")
    quiet(f"The other prompt: {live.scalars['corruption']}.", "other prompt")
