"""A model as a static page that generates pictures in the visitor's own browser, without any server."""

MANIFEST = "paint.json"  # identifies a folder as such a page
