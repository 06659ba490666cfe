"""The admin pages: make a study, watch it, read its report. Served only behind the secret."""

from typing import Any

import gradio as gr

from app.admin.analysing import build_analysing
from app.admin.changing import build_adjusting, build_amending, build_people
from app.admin.create import build_new
from app.admin.trials import build_trying
from app.admin.watch import build_watch
from app.look.building import without_servers
from app.look.mounting import Pages
from app.studies.ready import Studies


@without_servers()
def build_admin(studies: Studies) -> gr.Blocks:
    with Pages(title="Studies", analytics_enabled=False, delete_cache=(600, 3600)) as admin:
        gr.Markdown("# Studies\nAsk people which of two pictures is better.")
        with gr.Tabs() as tabs:
            with gr.Tab("Studies", id="watch"):
                chosen = build_watch(studies, admin)
                build_people(studies, chosen)
                build_adjusting(studies, chosen)
                amended = build_amending(studies, chosen)
                build_trying(studies, chosen, admin)
                build_analysing(studies, chosen)
            with gr.Tab("New study", id="new"):
                created = build_new(studies, admin, tabs)

        def show(name: str) -> tuple[Any, Any]:
            return gr.Dropdown(value=name, choices=studies.names()), gr.Tabs(selected="watch")

        for version in (created, amended):
            version.change(show, version, [chosen, tabs], show_progress="hidden", api_visibility="private")
    return admin.queue(max_size=16)
