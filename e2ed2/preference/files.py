"""What a finished preference has beside it, by name."""

ACCURACY = "accuracy.json"  # how well it foretells answers
EXAMPLES = "examples"  # what it likes most and least, and where in the image
