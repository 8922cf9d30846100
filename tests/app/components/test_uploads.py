"""Uploads: a bank is put in use at once, and deleted only after a question."""

from streamlit.testing.v1 import AppTest

from backend.contract.errors import StoreError
from backend.contract.files import AS_FOUND, Columns, Reading
from backend.contract.model import DEFAULT_MODEL
from tests.app.fake_client import FOREIGN, FakeClient
from tests.app.opened import notices, opened

ABOUT = " ".join(FOREIGN)
MARKUP = "<b>mine</b> **:red[x]**.csv"


def uploaded(client: FakeClient, name: str = "mine.csv") -> AppTest:
    """The page with a bank that was just uploaded."""
    return opened("question", client, item="3").file_uploader(key="upload 0").upload(name, b"q,a,b,c,A").run()


def buttons(at: AppTest) -> set[str]:
    return {button.key for button in at.button if button.key} & {"delete", "delete it", "keep it"}


def test_an_upload_becomes_the_bank_and_the_uploader_is_empty_again() -> None:
    at = uploaded(FakeClient())
    assert at.query_params == {"model": DEFAULT_MODEL, "bank": "upload-1", "item": "1"}
    assert at.file_uploader(key="upload 1").value is None
    assert notices(at, "error") == []
    assert "In use: mine.csv, 3 questions." in notices(at, "quiet")


def test_an_unusable_upload_is_told_with_its_line() -> None:
    at = opened("question", item="3")
    at.file_uploader(key="upload 0").upload("mine.csv", b" ").run()
    assert notices(at, "warning") == ["Line 1 of 'mine.csv' is empty."]
    assert at.button(key="keep upload").disabled
    assert at.query_params == {"item": "3"}


def test_a_file_of_which_something_is_left_out_is_kept_only_after_a_look() -> None:
    client = FakeClient()
    at = opened("question", client)
    at.file_uploader(key="upload 0").upload("mine.csv", b"odd").run()
    assert "upload-1" not in client.banked
    assert notices(at, "warning") == ["Left out: 1 equal options (Line 3)."]
    at.button(key="discard upload").click().run()
    assert "upload-1" not in client.banked
    assert notices(at, "warning") == []
    at.file_uploader(key="upload 1").upload("mine.csv", b"odd").run()
    at.button(key="keep upload").click().run()
    assert at.query_params["bank"] == "upload-1"


def test_columns_are_mapped_by_hand_before_a_file_is_kept() -> None:
    client = FakeClient()
    at = opened("question", client)
    at.file_uploader(key="upload 0").upload("mine.csv", b"foreign").run()
    assert notices(at, "warning") == ["Map the columns by hand."]
    at.toggle(key="read by hand").set_value(True).run()
    assert any("columns of its options" in text for text in notices(at, "quiet"))
    at.multiselect(key=f"read options {ABOUT}").set_value(["one", "two"]).run()
    at.selectbox(key=f"read Column of the right answer {ABOUT}").set_value(4).run()
    at.selectbox(key="read The answer is").set_value(1).run()
    assert notices(at, "warning") == []
    at.button(key="keep upload").click().run()
    assert client.read_as == [Reading(columns=Columns("foreign", ("one", "two"), "key"), answers="letter")]
    assert at.query_params["bank"] == "upload-1"


def test_a_users_name_for_a_file_is_text_wherever_it_is_shown() -> None:
    at = uploaded(FakeClient(), MARKUP)
    assert f"In use: {MARKUP}, 3 questions." in notices(at, "quiet")  # set as textContent
    assert MARKUP in at.selectbox(key="bank").options
    assert not any("mine" in element.value for element in (*at.markdown, *at.caption))
    assert not any("mine" in button.label for button in at.button)


def test_only_an_uploaded_bank_can_be_deleted() -> None:
    at = opened("question")
    assert buttons(at) == set()
    assert not any("To delete" in caption.value for caption in at.caption)
    client = FakeClient()
    client.upload("mine.csv", b"x", AS_FOUND)
    at = opened("question", client)
    assert buttons(at) == set()
    assert "To delete an uploaded bank, choose it as the bank first." in [c.value for c in at.caption]


def test_deleting_asks_first_and_can_be_called_off() -> None:
    client = FakeClient()
    at = uploaded(client)
    at.button(key="delete").click().run()
    assert any(
        text.startswith("Delete mine.csv with 3 questions? Everybody") for text in notices(at, "quiet")
    )
    assert buttons(at) == {"delete it", "keep it"}
    at.button(key="keep it").click().run()
    assert buttons(at) == {"delete"}
    assert "upload-1" in client.banked


def test_a_deleted_bank_gives_way_to_the_first_one() -> None:
    client = FakeClient()
    at = uploaded(client)
    at.button(key="delete").click().run()
    at.button(key="delete it").click().run()
    assert "upload-1" not in client.banked
    assert at.query_params == {"model": DEFAULT_MODEL, "bank": "copy-colors", "item": "1"}
    assert buttons(at) == set()
    assert notices(at, "error") == notices(at, "warning") == []


def test_a_bank_deleted_by_somebody_else_is_told_and_another_shown() -> None:
    client = FakeClient()
    at = uploaded(client)
    client.delete_bank("upload-1")
    at.run()
    assert notices(at, "warning") == ["There is no bank 'upload-1'. Copy-Colors is shown instead."]


def test_a_bank_that_cannot_be_deleted_stays_with_the_reason() -> None:
    class Stuck(FakeClient):
        def delete_bank(self, bank: str) -> None:
            raise StoreError("The uploaded bank cannot be deleted (Permission denied).")

    at = uploaded(Stuck())
    at.button(key="delete").click().run()
    at.button(key="delete it").click().run()
    assert notices(at, "error") == ["The uploaded bank cannot be deleted (Permission denied)."]
    assert at.query_params == {"model": DEFAULT_MODEL, "bank": "upload-1", "item": "1"}
