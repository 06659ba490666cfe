"""One folder per page: its layout, its wiring, and whatever only that page needs."""
