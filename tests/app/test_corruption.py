from app.corruption import ask_corruptions, corruption_params, corruptions_of, corruptions_over_bank
from app.letter import Letter
from app.selection import select
from app.state import Chosen
from backend.contract.question import Question
from tests.app.fake_client import FakeClient
from tests.app.made_up import made_up

QUESTION = Question("Which?", ("whale", "bat", "sea horse"), 2)
SELECTION, _ = select(Chosen(question=QUESTION), FakeClient())


def test_what_is_possible_hangs_on_the_letter() -> None:
    said, right = Letter("A", "A", "C"), Letter("C", "A", "C")
    assert ask_corruptions(SELECTION, said).params == {"bank": "copy-colors", "label": "A"}
    assert ask_corruptions(SELECTION, right).params == {"bank": "copy-colors"}
    assert corruptions_of(made_up(ask_corruptions(SELECTION, said))).taken("swap_options") == "swap_options"
    of_right = corruptions_of(made_up(ask_corruptions(SELECTION, right)))
    assert of_right.taken("swap_options") == "shuffle_labels"
    assert of_right.taken("random_letters") == "random_letters"
    assert of_right.offered[-1] == "text"
    assert list(of_right.refused) == ["swap_options"]


def test_over_a_bank_a_text_is_not_offered() -> None:
    assert corruptions_over_bank().taken("text") == "swap_options"


def test_a_request_names_the_letter_where_it_is_not_the_right_one() -> None:
    said = Letter("A", "A", "C")
    assert corruption_params("swap_options", SELECTION, said) == {"kind": "swap_options", "label": "A"}
    assert corruption_params("swap_options", SELECTION, None) == {"kind": "swap_options"}
    assert corruption_params("question", SELECTION, said) == {
        "kind": "question",
        "bank": "copy-colors",
        "label": "A",
    }
    assert corruption_params("text", SELECTION, said, "Words") == {"kind": "text", "prompt": "Words"}
