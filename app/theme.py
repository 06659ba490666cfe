"""One look for every page, light and dark. Fonts are the system's: a page asks no outside host for anything."""

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
THEME = gr.themes.Default(primary_hue="teal", neutral_hue="slate", radius_size="lg", font=FONT, font_mono=MONO)
# Gradio's own colours are too pale for their background (WCAG asks for a contrast of 4.5).
THEME.set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    block_info_text_color="*neutral_500",
    body_text_color_subdued="*neutral_500",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)

CSS = """
.gradio-container { max-width: 1080px !important; margin: 0 auto !important; }
#ask { align-items: end; }
#ask button { min-height: 3rem; }

/* Pictures of 128 pixels, enlarged: two in a row, three where there are many and the screen is wide. */
#pictures .grid-wrap { min-height: 14rem; max-height: none; overflow: visible; }
#pictures .grid-container { grid-template-columns: repeat(2, minmax(0, 1fr)); padding: 0; }
#pictures .grid-container:not(:has(> :nth-child(2))) {
  grid-template-columns: minmax(0, 24rem);
  justify-content: center;
}
@media (min-width: 768px) {
  #pictures .grid-container:has(> :nth-child(5)) { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
#pictures .thumbnail-item { aspect-ratio: auto; display: block; }
#pictures .thumbnail-item img { width: 100%; height: auto; aspect-ratio: 1; }
#pictures .caption-label { position: static; max-width: none; border: 0; text-align: center; }

@media (max-width: 640px) { footer .divider { display: none !important; } }  /* what it divides is hidden there */
#hint, #credits { opacity: 0.85; }
#hint p { font-size: 0.9rem; }
#credits p { font-size: 0.8rem; }

button[role="tab"][aria-selected="true"] { color: var(--primary-700) !important; }
.dark button[role="tab"][aria-selected="true"] { color: var(--primary-300) !important; }

/* The admin's card of a study. */
.study dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.study dt { font-size: .85rem; opacity: .85; }
.study dd { margin: 0; font-size: 1.35rem; font-weight: 600; }
.study h2 { margin: 0; font-size: 1.35rem; }
.study p { margin: .35rem 0; overflow-wrap: anywhere; }
.study progress { width: 100%; height: .5rem; appearance: none; border: 0; border-radius: 1rem; overflow: hidden; }
.study progress, .study progress::-webkit-progress-bar { background: var(--border-color-primary); }
.study progress::-webkit-progress-value { background: var(--primary-600); }
.study progress::-moz-progress-bar { background: var(--primary-600); }
.study a { padding: 0 !important; margin: 0 !important; }
.study .links { display: flex; flex-wrap: wrap; gap: 1rem; }
"""
