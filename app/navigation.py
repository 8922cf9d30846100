"""The pages, and links between them. Each link carries the choices in its address."""

from dataclasses import replace
from typing import Any

import streamlit as st

from app.state import current, write
from backend.contract.head import HeadRef

ATTENTION_PAGE = "app/views/attention.py"
ATTRIBUTION_PAGE = "app/views/attribution.py"
HEAD_PAGE = "app/views/head.py"
MODEL_PAGE = "app/views/model.py"
PATCHING_PAGE = "app/views/patching.py"
HEADS_PAGE = "app/views/heads.py"
PATCH_LENS_PAGE = "app/views/patch_lens.py"
PATHS_PAGE = "app/views/paths.py"
MUTATIONS_PAGE = "app/views/mutations.py"
QUESTION_PAGE = "app/views/question.py"
STORY_PAGE = "app/views/story.py"
SUBSPACE_PAGE = "app/views/subspace.py"
PAGES: tuple[dict[str, Any], ...] = (
    {
        "page": STORY_PAGE,
        "title": "Story",
        "icon": ":material/auto_stories:",
        "default": True,
        "help": "One question from beginning to end: what the model says, when it knows, who writes it.",
    },
    {
        "page": QUESTION_PAGE,
        "title": "Question",
        "icon": ":material/contact_support:",
        "help": "Choose or write a question; see the prompt and what the model answers.",
    },
    {
        "page": ATTRIBUTION_PAGE,
        "title": "Attribution",
        "icon": ":material/grid_on:",
        "help": "Which heads and MLPs wrote the letter.",
    },
    {
        "page": ATTENTION_PAGE,
        "title": "Attention",
        "icon": ":material/visibility:",
        "help": "Where each head's final token looks.",
    },
    {
        "page": PATCHING_PAGE,
        "title": "Patching",
        "icon": ":material/swap_horiz:",
        "help": "Which activations, put into another run, change the answer.",
    },
    {
        "page": PATCH_LENS_PAGE,
        "title": "Patch Lens",
        "icon": ":material/compare:",
        "help": "Two prompts side by side: put a piece of one run into the other, and see what it says.",
    },
    {
        "page": "app/views/effects.py",
        "title": "Effects",
        "icon": ":material/scatter_plot:",
        "help": "Which heads and MLPs act by what they write themselves, which through others.",
    },
    {
        "page": HEADS_PAGE,
        "title": "Heads",
        "icon": ":material/apps:",
        "help": "Every head over a bank of questions: its class, with the figures that speak for it.",
    },
    {
        "page": PATHS_PAGE,
        "title": "Paths",
        "icon": ":material/account_tree:",
        "help": "Who feeds a head's query, key and value, and whom it feeds.",
    },
    {
        "page": "app/views/circuit.py",
        "title": "Circuit",
        "icon": ":material/hub:",
        "help": "Which heads and MLPs are enough for the answer when all others are replaced.",
    },
    {
        "page": HEAD_PAGE,
        "title": "Head",
        "icon": ":material/center_focus_strong:",
        "help": "One head: what it writes, from which tokens, and where it looks.",
    },
    {
        "page": SUBSPACE_PAGE,
        "title": "Subspace",
        "icon": ":material/view_in_ar:",
        "help": "What one head compares: its queries and keys in three dimensions.",
    },
    {
        "page": MUTATIONS_PAGE,
        "title": "Mutations",
        "icon": ":material/shuffle:",
        "help": "Other labels, other order: does a head look for a place in the list or for a letter?",
    },
    {
        "page": MODEL_PAGE,
        "title": "Model",
        "icon": ":material/memory:",
        "help": "Which model, whether our figures agree with it, and whether it answers by letter at all.",
    },
    {
        "page": "app/views/drift.py",
        "title": "Drift",
        "icon": ":material/compare_arrows:",
        "help": "How far a quantized model is from itself in full precision.",
    },
)

# The documentation. It does not use the question and the prompt, so it is not in PAGES.
GUIDE: dict[str, Any] = {
    "page": "app/views/guide.py",
    "title": "Guide",
    "icon": ":material/menu_book:",
    "help": "What each page shows and how to read it, and the methods behind it.",
}


def guide_link(name: str) -> None:
    """A link to the page's guide, `name` in docs/guide. The choices stay in the address."""
    st.page_link(
        GUIDE["page"],
        label="How to read this page",
        icon=GUIDE["icon"],
        query_params={"of": name, **write(current()[0])},
    )


def open_head(layer: int, head: int) -> None:
    """Go to a head's page; for callbacks. The other choices stay."""
    params = write(current()[0]) | {"head": str(HeadRef(layer, head))}
    st.switch_page(HEAD_PAGE, query_params=params)


def open_question(bank: str, item: int) -> None:
    """Go to question `item` of a bank, counted from 1; for callbacks. Filters are removed, as they might hide it."""
    chosen = replace(current()[0], bank=bank, item=item, question=None, subject="", right="", search="")
    st.switch_page(QUESTION_PAGE, query_params=write(chosen))
