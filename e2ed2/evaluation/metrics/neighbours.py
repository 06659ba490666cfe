"""How many of a picture's neighbours say whether another is near it."""

NEIGHBOURS = 3
FEWEST = NEIGHBOURS + 1  # pictures: each needs that many others
