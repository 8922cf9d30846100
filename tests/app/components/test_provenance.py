from dataclasses import replace

from app.components.provenance import check_text, mark, provenance_text, unbalanced
from backend.contract.result import Result


def test_a_check_is_judged_in_words() -> None:
    assert check_text("identity_error", 3e-6, 1e-3) == "identity error 3e-06, limit 0.001 ✓ passed"
    assert mark(2e-3, 1e-3) == "✗ failed"
    assert mark(float("nan"), 1e-3) == "✗ failed"


def test_how_the_model_is_held_is_told() -> None:
    model = {"name": "m", "dtype": "float32", "quantization": "none", "fingerprint": "0123456789abcdef"}
    plain = Result({}, {}, {}, {}, model=model, seconds=2.25)
    assert provenance_text(plain) == "m · float32 · fingerprint 0123456789ab · computed in 2.2 s"
    held = replace(plain, model=model | {"quantization": "fp4"}, checks={"oracle_error": (0, 1)})
    assert provenance_text(held).startswith(
        "oracle error 0, limit 1 ✓ passed · m · float32 · quantized fp4 · "
    )
    assert "oracle" not in provenance_text(held, checks=False)


def test_right_letters_are_counted_and_told_where_they_are_not_balanced() -> None:
    def of(counts: dict[str, int], alike: bool = True) -> Result:
        return Result({}, {}, {}, {"right_letters": counts, "letters_weigh_alike": alike})

    balanced, uneven = {"A": 8, "B": 7, "C": 8}, {"A": 14, "B": 6, "C": 6}
    assert provenance_text(of(balanced)).startswith("right letters A 8, B 7, C 8 · ")
    assert unbalanced(of(balanced)) == unbalanced(Result({}, {}, {}, {})) == []
    assert unbalanced(of(uneven)) == [
        "The questions are not balanced: right is A 14, B 6, C 6. "
        "The means weigh each letter that is right the same."
    ]
    assert unbalanced(of(uneven, alike=False))[0].endswith("favour the letter that is right most often.")
