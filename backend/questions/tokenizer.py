"""The part of a Hugging Face fast tokenizer that prompts need."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Tokenizer(Protocol):
    """Any fast tokenizer of transformers."""

    def __hash__(self) -> int:
        """By identity."""

    @property
    def is_fast(self) -> bool:
        """Whether it can tell which characters a token covers."""

    @property
    def unk_token_id(self) -> int | None:
        """The token that stands for what is not in the vocabulary, if there is one."""

    @property
    def chat_template(self) -> object:
        """Its chat template, or None."""

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """By id: the tokens that are matched before the text is cut (`content`, `special`)."""

    @property
    def backend_tokenizer(self) -> Any:
        """The tokenizer of the library tokenizers."""

    def __call__(self, text: str, **settings: bool) -> Mapping[str, Any]:
        """`input_ids` of `text`.

        When asked: `offset_mapping`, (start, end) in characters for each token; `special_tokens_mask`, whether the
        token was put around the text.
        """

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """The vocabulary's own spelling of each id."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **settings: Any) -> Any:
        """The messages in the model's markup."""
