"""What the Subspace page offers, in words. The keys of places and of what is kept are the backend's own names."""

from backend.questions.mutations import MUTATIONS

COLOURINGS = {
    "label": "Label",
    "letter": "Right letter",
    "place": "Place in the list",
    "verdict": "Right or wrong",
    "subject": "Subject",
}
KEY_PLACES = {
    "label": "the label",
    "bracket": "the bracket after the label",
    "option": "the option's last token",
    "newline": "the newline after the option",
}
ALSO = {name: mutation.title for name, mutation in MUTATIONS.items() if name != "base"}
MAX_ALSO = 3
KEPT = {"all": "All", "right": "Answered right"}
