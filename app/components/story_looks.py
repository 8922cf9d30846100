"""Story, fourth section: where the heads that write the letter look, as arcs over the prompt."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app.components.arcs import show_arcs
from app.components.story_parts import Answer, Parts, choose_heads, how_sure, page_link, tell
from app.components.tokens import token_name
from app.figures.gaze import arcs, looks_at, on_labels, writers
from app.figures.net import net_effect
from app.navigation import ATTENTION_PAGE
from backend.contract.head import HeadRef
from backend.contract.result import Result


def writing_heads(answer: Answer, attribution: Result) -> list[HeadRef]:
    """The heads that write most for the letter said, strongest first."""
    net = net_effect(attribution["heads"], answer.place)
    margin = float(net_effect(answer.prediction["label_logits"], answer.place))
    return writers(net, margin)


def looks_parts(attention: Result, heads: Sequence[HeadRef], labels: Sequence[str], said: str) -> Parts:
    """What the strongest of these heads reads, and which of the others look at the label of the letter said."""
    final, roles = attention["final"], attention.scalars["roles"]
    looked = {head: on_labels(final, roles, head, len(labels)) for head in heads}
    strongest, place = heads[0], labels.index(said)
    first = looks_at(looked[strongest])
    if first is None:
        row = final[strongest.layer, strongest.head]
        at = int(np.argmax(row))
        token = f"'{token_name(attention.scalars['tokens'][at])}'" if at else "the prompt's first token"
        does = (
            " writes most and looks at no label much. "
            f"What it reads most is {token}, {row[at]:.0%} of its attention."
        )
    else:
        share = f"{float(looked[strongest][first]):.0%}"
        aside = "" if first == place else f", not to {said}"
        does = f" writes most, and gives {share} of its attention to the label {labels[first]}{aside}."
    also = [str(head) for head in heads[1:] if looks_at(looked[head]) == place]
    if also:
        does += f" {listed(also)} {'looks' if len(also) == 1 else 'look'} at the label {said}"
        does += " too." if first == place else "."
    elif len(heads) > 1 and first == place:
        does += " No other head shown here looks at it."
    return ("Of all heads, ", str(strongest), does)


def listed(names: Sequence[str]) -> str:
    """`L1H1, L1H2 and L1H3`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def show_looks(answer: Answer, attribution: Result, attention: Result) -> str:
    """Draw the arcs. Returns the section's sentence."""
    heads = writing_heads(answer, attribution)
    labels = answer.selection.labels
    told = tell(looks_parts(attention, heads, labels, answer.said), "looks")
    hidden = answer.selection.chosen.hidden
    shown = choose_heads("Heads, those that write most for the letter first", heads, "hidden", hidden)
    drawn = arcs(attention["final"], shown)
    show_arcs("From the last token to what these heads read", attention.scalars, drawn, "arcs")
    st.caption(
        "An arc leads from the last token, where the answer is given, to a token that a head reads. The thicker, the "
        "more attention. Its colour is the letter of the option that the token belongs to. Point at an arc for its "
        "figures. Attention below 3% is not drawn."
    )
    page_link(
        ATTENTION_PAGE,
        f"Every head; {heads[0]} token by token",
        ":material/visibility:",
        answer.address(scope="question", reading="plain", head=heads[0]),
    )
    how_sure(
        "looks",
        [attention],
        "Attention tells where a head reads, not what it takes from there. Many heads rest on the first token when "
        "they find nothing; arcs to it are grey. The heads are those with the largest net effect on the letter said.",
    )
    with st.expander("The arcs as a table"):
        tokens, roles = attention.scalars["tokens"], attention.scalars["roles"]
        rows = [
            {
                "head": arc.head,
                "token": token_name(tokens[arc.position]),
                "role": roles[arc.position],
                "share": arc.share,
            }
            for arc in drawn
        ]
        st.dataframe(pd.DataFrame(rows, columns=["head", "token", "role", "share"]), hide_index=True)
    return told
