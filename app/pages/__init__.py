"""One file for each page: layout and wiring."""
