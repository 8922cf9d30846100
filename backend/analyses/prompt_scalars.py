"""The scalars that many results have. No torch."""

from backend.contract.spec import ALWAYS, ONE, ScalarSpec, When


def of_prompt(when: When = ALWAYS) -> tuple[ScalarSpec, ...]:
    """What every result about one prompt says of it."""
    return (
        ScalarSpec("text", "the prompt", when=when),
        ScalarSpec("tokens", "its tokens", when=when),
        ScalarSpec("roles", "what each token is there for", when=when),
        ScalarSpec("labels", "the labels shown", when=when),
        ScalarSpec("answer", "the right label; null where nobody said which is right", when=when),
        ScalarSpec(
            "notes", "sentences on what is special about the prompt, such as a date put into it", when=when
        ),
        ScalarSpec("controls", "control tokens of the model that the question quotes", when=when),
    )


def of_answer(when: When = ALWAYS) -> tuple[ScalarSpec, ...]:
    """What a result about one question also says of the model's answer."""
    return (
        *of_prompt(when),
        ScalarSpec("predicted", "the label with the highest logit", when=when),
        ScalarSpec("loss", "of the right label's token over the vocabulary; null without one", "nats", when),
    )


HEAD_OF_ONE = ScalarSpec("head", "the head of `params.head`; null without one", when=ONE)
