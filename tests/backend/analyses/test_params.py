"""Whatever number stands wherever in a request's params: an answer, or an error that says what is wrong."""

import json
from contextlib import suppress
from math import inf, nan

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from backend.analyses import ANALYSES, Task
from backend.contract.errors import LetterheadsError
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired
from tests.backend.analyses.subspace.test_subspace import questions

HUGE = 10**400  # larger than any float
SPECIAL = (True, None, 0, 2, -1, 2**63, -HUGE, 1.5, 2.0, 5e-324, 1e308, inf, nan)
NUMBERS = some.sampled_from(SPECIAL) | some.integers() | some.floats()

# Params as JSON, with # for a number.
HEAD = ("[#, 2]", "[1, #]", "#", '"L#H2"')
ALONE = tuple(f'{{"head": {head}}}' for head in HEAD)
OF_A_HEAD = (*ALONE, '{"head": [1, 2], "seed": #}')
OF_HEADS = (*OF_A_HEAD, '{"heads": [[1, 2], [1, #]]}', '{"heads": #}', '{"head": [1, 2], "rank": #}')
PAIRED = tuple(
    f'{{"corruption": {{"kind": "random_letters", {field}}}}}' for field in ('"seed": #', '"draws": #')
)
NODES = (*(f'{{"head": {head}}}' for head in HEAD), '{"mlp": #}', '{"embedding": #}')
PLACES = {
    "attribution": ALONE,
    "attention": ALONE,
    "patching": (
        *PAIRED,
        '{"positions": #}',
        '{"positions": [#]}',
        '{"budget": #}',
        '{"budget": {"seconds": #}}',
        '{"budget": {"megabytes": #}}',
    ),
    "attribution_patching": (
        *PAIRED,
        '{"qk_fix": #}',
        '{"verify": {}, "budget": {"seconds": #}}',
        *(f'{{"verify": {{"{field}": #}}}}' for field in ("top", "random", "seed", "positions")),
    ),
    "effects": PAIRED,
    "heads": (*PAIRED, '{"effects": #}'),
    "paths": tuple(f'{{"{end}": {node}}}' for end in ("receiver", "sender") for node in NODES),
    "subspace": (*OF_A_HEAD, '{"head": [1, 2], "rank": #}', '{"head": [1, 2], "stacked": #}'),
    "compression": (*OF_HEADS, '{"head": [1, 2], "ranks": [#]}', '{"head": [1, 2], "ranks": #}'),
    "mutations": OF_HEADS,
    "swap-test": OF_A_HEAD,
    "key-steering": (*OF_A_HEAD, '{"head": [1, 2], "strengths": [#]}', '{"head": [1, 2], "strengths": #}'),
    "turn": (*OF_A_HEAD, '{"head": [1, 2], "to": #}', '{"head": [1, 2], "strengths": [#]}'),
    "readings": ('{"patched": #}',),
    "possible-corruptions": ('{"label": #}', '{"bank": #}'),
    "joint-patching": (
        *(params.replace("{", '{"heads": [[1, 2]], ', 1) for params in PAIRED),
        '{"heads": [[1, #]]}',
        '{"heads": #}',
        *(f'{{"heads": [[1, 2]], "{field}": #}}' for field in ("alone", "random", "seed")),
    ),
    "sufficiency": (
        *('{"random": 1, ' + params[1:] for params in PAIRED),
        *(f'{{"nodes": [{node}], "random": 0}}' for node in ('"L#H2"', '{"mlp": #}', "[1, #]", "#")),
        *(f'{{"random": 1, "{field}": #}}' for field in ("sizes", "share", "seed")),
        '{"random": 1, "sizes": [#]}',
        '{"sizes": [1], "random": #}',
    ),
}
BLOCK = '{"from": "clean", "layers": [0, 0], "positions": [1, 1]}'
PLACES["lens"] = (*PAIRED, '{"top": #}', '{"positions": #}', '{"positions": [#], "top": 1}')
PLACES["patched-lens"] = (
    *PAIRED,
    '{"check": #}',
    '{"patches": #}',
    *(
        f'{{"patches": [{BLOCK.replace(old, new, 1)}]}}'
        for old, new in (("0", "#"), ("1]", "#]"), ('"clean"', "#"))
    ),
)
PLACES["cost"] = tuple(
    f'{{"analysis": "{name}", "params": {params}}}'
    for name in PLACES
    if ANALYSES[name].cost
    for params in PLACES[name]
)


def test_no_analysis_with_params_is_left_out() -> None:
    assert {name for name, analysis in ANALYSES.items() if analysis.params} == {*PLACES}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("analysis", "params"), [(name, params) for name, places in PLACES.items() for params in places]
)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@example(number=HUGE)
@given(number=NUMBERS)
def test_any_number_is_answered_or_refused_in_words(
    hand_wired_instrument: Instrument, analysis: str, params: str, number: object
) -> None:
    several = "question" not in ANALYSES[analysis].takes
    asked = questions(8) if several else (hand_wired.question(0),)
    with suppress(LetterheadsError):
        request = Request.from_json(
            {
                "analysis": analysis,
                "params": json.loads(params.replace("#", json.dumps(number))),
                **(
                    {"questions": [one.to_json() for one in asked]}
                    if several
                    else {"question": asked[0].to_json()}
                ),
                "prompt": hand_wired.SPEC.to_json(),
            }
        )
        ANALYSES[analysis].check(request)
        ANALYSES[analysis].run(hand_wired_instrument, Task(request, asked, ((),) * len(asked)), silent)
