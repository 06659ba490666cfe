"""The pages. `app.settings` comes before everything that imports gradio."""
