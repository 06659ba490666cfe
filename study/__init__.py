"""The preference study: from images to votes that hold up. Imports no torch and no gradio."""
