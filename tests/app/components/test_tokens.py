from app.components.tokens import pieces


def test_a_character_of_several_tokens_is_shown_once() -> None:
    assert pieces(["a ", "☝", "☝", "!"], "a ☝!") == ["a ", "☝", "", "!"]


def test_characters_that_really_come_twice_stay() -> None:
    assert "".join(pieces(["☝", "☝", "☝", "☝"], "☝☝")) == "☝☝"
    assert pieces(["a", "a"], "aa") == ["a", "a"]


def test_special_tokens_are_shown_by_name() -> None:
    assert pieces(["<s>", "a"], "a") == ["<s>", "a"]
