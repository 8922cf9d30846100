import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from backend.contract.errors import QuestionError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.prompt import Prompt
from backend.questions.render import MAX_CHARACTERS, render
from tests.backend.questions.conftest import CHATML, build

RAVEN = Question("What color is a raven?", ("red", "black", "white", "green"), 1, "colors")
PLAIN = PromptSpec("plain")


def pairs(prompt: Prompt) -> list[tuple[str, str]]:
    return list(zip(prompt.tokens, prompt.roles, strict=True))


def test_tokens_and_roles_of_a_whole_prompt(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = render(Question("What color is a raven?", ("red", "black"), 1), PLAIN, tokenizer)
    assert pairs(prompt) == [
        ("What", "stem"),
        (" color", "stem"),
        (" is", "stem"),
        (" a", "stem"),
        (" raven", "stem"),
        ("?\n", "stem"),
        ("(A", "label 0"),
        (")", "bracket 0"),
        (" red", "option 0"),
        ("\n", "newline 0"),
        ("(B", "label 1"),
        (")", "bracket 1"),
        (" black", "option 1"),
        ("\n", "newline 1"),
        ("Answer", "suffix"),
        (":", "suffix"),
        (" (", "final"),
    ]
    assert (prompt.labels, prompt.answer) == (("A", "B"), 1)


@pytest.mark.parametrize("template", ["paper", "plain", "chat"])
@pytest.mark.parametrize("bos", [False, True])
def test_token_ids_are_the_tokenizers_own(template: str, bos: bool) -> None:
    tokenizer = build(bos=bos, chat_template=CHATML)
    prompt = render(RAVEN, PromptSpec(template, shots=1), tokenizer, shots=(RAVEN,))
    special = template != "chat"
    assert list(prompt.token_ids) == tokenizer(prompt.text, add_special_tokens=special)["input_ids"]
    assert len(prompt.tokens) == len(prompt.roles) == len(prompt.token_ids)
    assert prompt.roles[-1] == "final"
    assert prompt.positions("shot")


def test_the_answer_token_is_the_one_said_not_the_one_in_the_list(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = render(RAVEN, PLAIN, tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(prompt.answer_ids)) == ["A", "B", "C", "D"]
    listed = [prompt.token_ids[prompt.positions(f"label {i}")[0]] for i in range(4)]
    assert not set(listed) & set(prompt.answer_ids)


def test_special_tokens_are_prelude_and_show_their_name() -> None:
    assert pairs(render(RAVEN, PLAIN, build(bos=True)))[0] == ("<|bos|>", "prelude")


def test_blanks_left_out_of_the_offsets_come_back() -> None:
    trimmed = render(RAVEN, PLAIN, build(trim_offsets=True))
    assert "".join(trimmed.tokens) == trimmed.text
    assert trimmed.roles == render(RAVEN, PLAIN, build()).roles


def test_tokens_of_one_emoji_all_show_it(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = render(Question("What is 🦉?", ("é", "שלום"), 0), PLAIN, tokenizer)
    assert [token for token in prompt.tokens if token == "🦉"] == ["🦉"] * 4
    assert "�" not in "".join(prompt.tokens)
    assert {prompt.tokens[position] for position in prompt.positions("option 0")} == {" ", "é"}


def test_a_token_that_covers_an_option_and_its_newline_is_the_options(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    prompt = render(Question("Which?", ("a??", "b")), PLAIN, tokenizer)
    assert ("??\n", "option 0") not in pairs(prompt)  # not merged by this small vocabulary
    merged = render(Question("What color is a raven?", ("What color is a raven?", "b")), PLAIN, tokenizer)
    assert ("?\n", "option 0") in pairs(merged)
    assert not merged.positions("newline 0")


def test_html_markdown_and_brackets_are_text(tokenizer: PreTrainedTokenizerFast) -> None:
    odd = Question("<b>**Who**</b>\n(A) x", ("(B)", "Answer: ("), 0)
    prompt = render(odd, PLAIN, tokenizer)
    assert "".join(prompt.tokens) == prompt.text == "<b>**Who**</b>\n(A) x\n(A) (B)\n(B) Answer: (\nAnswer: ("
    assert prompt.positions("label 0") == (prompt.positions("bracket 0")[0] - 1,)


@pytest.mark.parametrize("labels", ["abcd", "1234", "WXYZ"])
def test_other_labels(labels: str, tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = render(RAVEN, PromptSpec("plain", tuple(labels)), tokenizer)
    assert tokenizer.decode(list(prompt.answer_ids)) == labels


def test_a_label_of_several_tokens_is_refused_with_what_it_became(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(QuestionError, match=r"label '10' is not one token .* becomes '1' and '0'\. "):
        render(RAVEN, PromptSpec("plain", ("9", "10", "11", "12")), tokenizer)


def test_a_label_that_joins_the_prompts_end_is_refused() -> None:
    joining = build()
    joining.add_tokens(["(("])
    with pytest.raises(QuestionError, match=r"label '\(' is not one token .* joined with the end"):
        render(RAVEN, PromptSpec("plain", ("A", "(", "B", "C")), joining)


def test_a_label_that_the_tokenizer_does_not_know_is_refused() -> None:
    """Its logit would be that of every unknown word."""
    inner = Tokenizer(models.WordLevel(vocab={"[UNK]": 0, "A": 1, "C": 2, "D": 3}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]")
    with pytest.raises(QuestionError, match=r"does not know the label 'B': it becomes '\[UNK\]'\. Choose"):
        render(RAVEN, PromptSpec("plain", tuple("ABCD")), tokenizer)


def test_labels_with_one_and_the_same_token_are_refused() -> None:
    composed, decomposed = "é", "e\N{COMBINING ACUTE ACCENT}"
    tokenizer = build()
    tokenizer.add_tokens([composed])
    with pytest.raises(QuestionError, match="are the same token here"):
        render(Question("Who?", ("a", "b")), PromptSpec("plain", (composed, decomposed)), tokenizer)


def test_too_long_a_question_tells_its_tokens_and_the_limit(tokenizer: PreTrainedTokenizerFast) -> None:
    long = Question("why " * 12_500, ("a", "b"))
    assert len(long.stem) == 50_000
    with pytest.raises(QuestionError, match=r"is \d\d,\d{3} tokens; tiny takes at most 4,096 here\. Shorten"):
        render(long, PLAIN, tokenizer, token_limit=4096, model_name="tiny")


def test_a_question_at_the_limit_is_rendered(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = len(render(RAVEN, PLAIN, tokenizer).token_ids)
    render(RAVEN, PLAIN, tokenizer, token_limit=tokens)
    with pytest.raises(QuestionError, match=f"is {tokens} tokens"):
        render(RAVEN, PLAIN, tokenizer, token_limit=tokens - 1)


def test_an_absurdly_long_question_is_refused_before_it_is_made_tokens(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    endless = Question("x" * 40 * MAX_CHARACTERS, ("a", "b"))
    # Were it made tokens, the message would count those.
    with pytest.raises(QuestionError, match=r"is 8,000,0\d\d characters, .* tiny takes at most 99 tokens"):
        render(endless, PLAIN, tokenizer, token_limit=99, model_name="tiny")


def test_the_number_of_shots_must_be_as_asked(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(QuestionError, match="asks for 2 solved questions; 1 were given"):
        render(RAVEN, PromptSpec(shots=2), tokenizer, shots=(RAVEN,))


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow(PreTrainedTokenizerFast):  # type: ignore[misc]
        is_fast = False

    slow = Slow(tokenizer_object=build().backend_tokenizer)
    with pytest.raises(QuestionError, match="tokenizer of tiny does not report"):
        render(RAVEN, PLAIN, slow, model_name="tiny")


TOKENIZER = build()
visible = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(stem=visible, options=st.lists(visible, min_size=2, max_size=10, unique_by=str.strip))
def test_any_text_is_covered_and_every_option_found(stem: str, options: list[str]) -> None:
    prompt = render(Question(stem, tuple(options)), PromptSpec(), TOKENIZER)
    assert prompt.roles[-1] == "final"
    for index in range(len(options)):
        assert prompt.positions(f"label {index}")
        assert prompt.positions(f"option {index}")
    assert list(prompt.token_ids) == TOKENIZER(prompt.text)["input_ids"]
