"""A model as a static page that paints in the visitor's own browser, without any server."""

MANIFEST = "paint.json"  # by which a folder is known to be such a page
