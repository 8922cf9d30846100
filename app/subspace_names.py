"""What the Subspace page offers, in words. The keys of places and of what is kept are the backend's own names."""

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
KEPT = {"all": "All", "right": "Answered right"}
