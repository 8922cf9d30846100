"""The letter that a page explains: the one that the model says, or the right one."""

from dataclasses import dataclass

from app.selection import Selection


@dataclass(frozen=True)
class Letter:
    """The letter explained, `label`; the one that the model says; the right one, None if nobody marked it."""

    label: str
    said: str
    right: str | None

    @property
    def is_right(self) -> bool:
        return self.label == self.right

    @property
    def name(self) -> str:
        """As sentences name it.

        >>> Letter("D", "D", "B").name, Letter("B", "D", "B").name
        ('D, the letter said', 'B, the right letter')
        """
        return f"{self.label}, the {'right letter' if self.is_right else 'letter said'}"

    def worded(self, title: str) -> str:
        """A title that is about the right letter, where it is about this one.

        >>> Letter("D", "D", None).worded("Net logit of the right letter")
        'Net logit of D, the letter said'
        >>> Letter("D", "D", None).worded("Right option swapped with another")
        'Option D swapped with another'
        >>> Letter("D", "D", "D").worded("Right option swapped with another")
        'Right option swapped with another'
        """
        if self.is_right:
            return title
        return title.replace("the right letter", self.name).replace("Right option", f"Option {self.label}")


def letter_explained(said: str, selection: Selection) -> Letter:
    """What is said, unless nothing but the right letter was asked for and is known.

    `said` is the label that the model gives the highest logit.
    """
    right = selection.right
    wanted = right if right is not None and selection.chosen.about == "right" else said
    return Letter(wanted, said, right)
