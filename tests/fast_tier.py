"""`--fast`: the tests for while one works. What is left out runs with every whole run.

Left out are tests with real models or a browser, those marked `slow`, and of the tests that go over every family of
models all but `SAMPLE`: a plain one, and one with every norm and cap. Of a test marked `sampled`, which goes over many
values, every fifth is run.
"""

from collections import Counter

import pytest

from tests import tiny

SAMPLE = {"qwen2", "gemma2"}
LEFT_OUT = {"small_model", "default_model", "browser", "slow"}
EVERY = 5  # of the values of a test marked `sampled`, one in so many


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="a few families, no real models, no browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what the fast tier leaves out."""
    if not config.getoption("--fast"):
        return
    chosen = _sample([item for item in items if not _left_out(item)])
    config.hook.pytest_deselected(items=[*{*items} - {*chosen}])
    items[:] = chosen


def _sample(items: list[pytest.Item]) -> list[pytest.Item]:
    """All items, but of each test marked `sampled` only the first, the sixth and so on."""
    chosen, seen = [], Counter[str]()
    for item in items:
        if item.get_closest_marker("sampled"):
            name = item.nodeid.split("[")[0]
            seen[name] += 1
            if seen[name] % EVERY != 1:
                continue
        chosen.append(item)
    return chosen


def _left_out(item: pytest.Item) -> bool:
    if LEFT_OUT & {mark.name for mark in item.iter_markers()}:
        return True
    called = getattr(item, "callspec", None)
    families = {} if called is None else called.params
    return any(_is_family(value) and value not in SAMPLE for value in families.values())


def _is_family(value: object) -> bool:
    return isinstance(value, str) and value in tiny.FAMILY_CONFIGS
