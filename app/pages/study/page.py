"""The Study page: why to vote, and where to start."""

import gradio as gr

from app.engine.services import Services

TEXT = """# Which picture is better?
Metrics can be gamed; in the end, people judge what looks good. In the study you see a few words and two pictures, and
answer three questions about each pair: which is better on the whole, which is nicer to look at, which fits the words
better.

- It takes a few minutes, with the mouse, the keyboard or a finger.
- Which model made what stays hidden; sides are drawn by lot.
- Every answer is kept at once. Leave when you like, and come back by the same link.
- No name, no account; nothing leaves this server.
"""


class StudyPage:
    def __init__(self, services: Services, demo: gr.Blocks):
        gr.Markdown(TEXT)
        with gr.Row():
            gr.Button("Begin", variant="primary", link="study/", size="lg")
            gr.Button("Results so far", link="results", size="lg")
