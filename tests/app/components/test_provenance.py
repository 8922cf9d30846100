from dataclasses import replace

from app.components.provenance import check_text, mark, provenance_text
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
