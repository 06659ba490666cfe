"""One look for every page, light and dark. It uses system fonts: no page requests anything from another host."""

from pathlib import Path

import gradio as gr

CSS = [Path(__file__).with_name(name) for name in ("theme.css", "generate.css")]
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
THEME = gr.themes.Default(primary_hue="teal", neutral_hue="slate", radius_size="lg", font=FONT, font_mono=MONO)
# Gradio's own colours have too little contrast with their background (WCAG requires 4.5).
THEME.set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    button_cancel_background_fill="#b91c1c",
    button_cancel_background_fill_dark="#b91c1c",
    button_cancel_background_fill_hover="#991b1b",
    button_cancel_background_fill_hover_dark="#991b1b",
    checkbox_border_color="*neutral_500",  # WCAG 1.4.11 requires 3 for shapes: an empty box must be visible
    checkbox_border_color_dark="*neutral_400",
    block_info_text_color="*neutral_500",
    body_text_color_subdued="*neutral_500",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)
