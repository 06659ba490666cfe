"""One folder for each page: layout, wiring, and what only that page needs."""
