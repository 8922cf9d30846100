"""The positions of a prompt that a request names."""

from backend.contract.errors import RequestError, shown


def chosen_positions(data: str | list[int], tokens: int) -> tuple[int, ...]:
    """The positions that a parameter of the kind `Positions` names, in a prompt of so many tokens.

    Raises RequestError for one that the prompt does not have.

    >>> chosen_positions("all", 3), chosen_positions("final", 3), chosen_positions([2, 0], 3)
    ((0, 1, 2), (2,), (2, 0))
    """
    if data == "all":
        return tuple(range(tokens))
    if isinstance(data, str):
        return (tokens - 1,)
    for position in data:
        if position >= tokens:
            raise RequestError(
                f"Position {shown(position)} is out of range: the prompt has {tokens} tokens, counted from 0."
            )
    return tuple(data)
