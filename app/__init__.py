"""The pages. Import `app.settings` before anything that imports gradio."""
