"""The table of all types in docs/models.md: what the command writes, and that it is of this transformers."""

import re

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from backend.models.families import known_types
from benchmarks.families_table import BEGIN, END, FILE, Tried, table

FOUND = [
    Tried("one", "accepted", "1.0e-06", "structure", "accepted", "cones"),
    Tried("two", "refused", "Models of type 'two' have no | heads. Supported: one."),
    Tried("three", "refused", "Models of type 'three' have no | heads. Supported: one."),
    Tried(
        "four",
        "refused",
        "FOLDER failed: heads_error 4.4 (limit 0.001), x_error 1e-05 (limit 1e-06). Its numbers could not be.",
    ),
    Tried("five", "not built", "ValueError: large"),
]


def test_types_of_one_reason_stand_together() -> None:
    assert table(FOUND).splitlines()[2:] == [
        "| accepted | by | error | 4bit | patching |",
        "| --- | --- | --- | --- | --- |",
        "| one | structure | 1.0e-06 | accepted | cones |",
        "",
        "| not accepted | what is said |",
        "| --- | --- |",
        "| four | It failed: heads_error, x_error. |",
        "| two, three | Models of type TYPE have no or heads. |",
        "| five | not built: ValueError: large |",
    ]


def test_the_documentation_lists_every_type_once_and_none_is_wrong() -> None:
    text = FILE.read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0]
    accepted, others = written.split("| not accepted |")
    errors = dict(re.findall(r"^\| ([\w-]+) \| (?:adapter|structure) \| (\S+) \|", accepted, re.M))
    refused = [
        name for names in re.findall(r"^\| ([\w, -]+) \| (?!---)", others, re.M) for name in names.split(", ")
    ]
    assert sorted([*errors, *refused]) == sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert max(map(float, errors.values())) < 1e-4
    assert "crashed" not in written
    assert errors.keys() >= set(known_types())
