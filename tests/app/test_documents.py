from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import documents as module
from app.documents import FIRST, documents, in_app, title_of
from tests.app.fake_client import FakeClient
from tests.app.opened import ENTRY, PAGES, notices, opened


def guide(**params: str) -> AppTest:
    at = AppTest.from_file(str(ENTRY), default_timeout=120)
    at.session_state["client"] = FakeClient()
    at.query_params = params
    return at.switch_page("app/views/guide.py").run()


def links(at: AppTest) -> dict[str, str]:
    return {link.proto.label: link.proto.query_string for link in at.main.get("page_link")}


def test_each_document_has_a_name_of_its_own() -> None:
    assert len(documents()) == len(list(module.FOLDER.glob("**/*.md")))
    assert next(iter(documents())) == FIRST
    assert set(PAGES) < documents().keys()
    assert title_of("methods").startswith("Methods")


def test_links_and_pictures_work_in_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs" / "guide").mkdir(parents=True)
    (tmp_path / "docs" / "methods.md").write_text("# Methods\n")
    one = tmp_path / "docs" / "guide" / "one.md"
    one.write_text(
        "# One\n![a head](../../static/screenshots/head.png) [how](../methods.md#path-patching) "
        "[web](https://a.org/b) [code](../../app/state.py) [above](#one_two)\n"
    )
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "docs")
    documents.cache_clear()
    try:
        text = in_app("one", "guide", {"model": "a b"})
    finally:
        documents.cache_clear()
    assert "![a head](app/static/screenshots/head.png)" in text
    assert "[how](guide?of=methods&model=a+b#path-patching)" in text
    assert "[web](https://a.org/b)" in text
    assert "code" in text
    assert "state.py" not in text
    assert "[above](#one-two)" in text


@pytest.mark.parametrize("name", [FIRST, *PAGES, "methods"])
def test_the_guide_shows_every_document(name: str) -> None:
    at = guide(of=name, quantization="4bit")
    assert not at.exception
    assert not notices(at, "warning")
    assert at.main.markdown[0].value.startswith(f"# {title_of(name)}")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_leads_to_its_guide(page: str) -> None:
    there = links(opened(page, quantization="4bit"))["How to read this page"]
    assert f"of={page}&" in there
    assert "quantization=4bit" in there


def test_the_guide_of_a_page_leads_back_to_it_with_the_choices() -> None:
    there = links(guide(of="attribution", quantization="4bit", bank="copy-colors"))
    assert "quantization=4bit" in there["Open Attribution"]
    assert "bank=copy-colors" in there["Open Attribution"]
    assert "of=README" in there["All guides"]


def test_a_guide_that_there_is_not_is_told_and_the_index_shown() -> None:
    at = guide(of="../../etc/passwd")
    assert not at.exception
    (told,) = notices(at, "warning")
    assert "'../../etc/passwd'" in told
    assert at.main.markdown[0].value.startswith(f"# {title_of(FIRST)}")
