"""Preference studies: from pictures to votes that hold up."""
