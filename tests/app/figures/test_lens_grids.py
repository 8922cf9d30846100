"""The grids of two prompts: by hand."""

import numpy as np
import pytest

from app.figures.lens_grids import Letters, apart_from, grids_of, letters_of, scale_of, shown_from, words_of
from backend.contract.result import Array, Result
from backend.contract.stream_patch import StreamPatch

ROLES = ["prelude", "stem", "label 0", "final"]
OTHER_ROLES = ["prelude", "stem", "stem", "label 0", "final"]
MATCH = [0, None, 3, 4]


def result(same: bool = False) -> Result:
    """Two depths; the clean run says A, the other one B or, if `same`, A too."""
    clean = np.zeros((2, 4, 3), np.float32)
    other = np.zeros((2, 5, 3), np.float32)
    clean[1, -1], other[1, -1] = (5, 1, 2), ((5, 1, 2) if same else (1, 4, 2))
    other[0, 3, 1] = 9
    patched = other.copy()
    patched[1, 3:] = [(7, 0, 0), (5, 1, 2)]
    arrays = {
        "lens_clean": clean,
        "lens_clean_patched": clean,
        "lens_corrupted": other,
        "lens_corrupted_patched": patched,
    }
    ends = {name.replace("lens", "label_logits"): lens[-1, -1] for name, lens in arrays.items()}
    return Result(
        request={},
        arrays={
            name: Array(values, tuple("dpl"[-values.ndim :]), "logits")
            for name, values in (arrays | ends).items()
        },
        ticks={},
        scalars={
            "tokens": list("abcd"),
            "roles": ROLES,
            "corrupted_tokens": list("axbcd"),
            "corrupted_roles": OTHER_ROLES,
            "counterparts": MATCH,
        },
    )


def test_colours_compare_what_the_runs_say_or_the_runner_up() -> None:
    assert letters_of(result()) == Letters(0, 1, False)
    assert letters_of(result(same=True)) == Letters(0, 2, True)


def test_the_scale_ends_at_the_largest_lead_of_the_last_token() -> None:
    assert scale_of(result(), Letters(0, 1, False)) == 4
    assert scale_of(result(), Letters(2, 2, False)) > 0


def test_cells_carry_both_readings_and_their_counterparts() -> None:
    patch = StreamPatch("clean", (0, 0), (2, 3))
    clean, other = grids_of(result(), Letters(0, 1, False), "stem", [patch])
    assert (clean.tokens, clean.positions, clean.counterparts) == (("b", "c", "d"), (1, 2, 3), (None, 3, 4))
    assert (other.positions, other.counterparts) == ((1, 2, 3, 4), (None, None, 2, 3))
    assert clean.blocks == ()
    assert other.blocks == ((1, 1, 3, 4),)
    assert other.lead[1].tolist() == [0, 0, 7, 4]
    assert other.lead_before[1].tolist() == [0, 0, 0, -3]
    assert (other.best[1, -1], other.best_before[1, -1]) == (0, 1)
    assert (other.lead[0] == other.lead_before[0]).all()
    assert other.lead[0, 2] == -9


def test_the_whole_prompt_can_be_shown() -> None:
    clean, other = grids_of(result(), Letters(0, 1, False), "all", [])
    assert (len(clean.tokens), len(other.tokens)) == (4, 5)


@pytest.mark.parametrize(("span", "first"), [("stem", 1800), ("all", 1000)])
def test_of_a_long_prompt_the_last_tokens_are_shown(span: str, first: int) -> None:
    roles = ["prelude"] * 10 + ["stem"] * 1989 + ["final"]
    assert shown_from(roles, span) == first
    assert shown_from(["shot", "final"], "stem") == 0


def test_runs_that_come_apart_late_are_tried_late_but_not_at_the_end() -> None:
    leads = np.zeros((5, 2), np.float32)
    for first, tried in ((1, 1), (3, 3), (4, 3), (0, 0)):
        clean = leads.copy()
        clean[first:, 0] = 3
        assert apart_from(clean, leads, Letters(0, 1, False)) == tried


def test_words_are_the_likeliest_tokens_with_their_probability() -> None:
    ids = np.array([[[7, 1], [2, 7]]], np.float32)
    logprobs = np.log(np.array([[[0.5, 0.1], [0.25, 0.2]]], np.float32))
    lens = Result(
        request={},
        arrays={
            "top_ids": Array(ids, ("depth", "position", "top"), "token id"),
            "top_logprobs": Array(logprobs, ("depth", "position", "top"), "nats"),
        },
        ticks={},
        scalars={"texts": {"7": " red", "2": "B", "1": "x"}},
    )
    words = words_of(lens)
    assert [[words.texts[one] for one in row] for row in words.index] == [[" red", "B"]]
    assert words.chance.tolist() == [[0.5, 0.25]]
