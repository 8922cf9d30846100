from app.components.provenance import check_text, mark


def test_a_check_is_judged_in_words() -> None:
    assert check_text("identity_error", 3e-6, 1e-3) == "identity error 3e-06, limit 0.001 ✓ passed"
    assert mark(2e-3, 1e-3) == "✗ failed"
    assert mark(float("nan"), 1e-3) == "✗ failed"
