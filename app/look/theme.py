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
    button_cancel_background_fill="#b91c1c",
    button_cancel_background_fill_dark="#b91c1c",
    button_cancel_background_fill_hover="#991b1b",
    button_cancel_background_fill_hover_dark="#991b1b",
    block_info_text_color="*neutral_500",
    body_text_color_subdued="*neutral_500",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)

CSS = """
.gradio-container { max-width: 1080px !important; margin: 0 auto !important; }
.nav-holder nav a, nav.fillable a { color: var(--body-text-color) !important; opacity: 1; }
.nav-holder nav, nav.fillable { flex-wrap: wrap; justify-content: center !important; gap: .25rem; }
.ask { align-items: end; }
.ask button:not(.icon-button) { min-height: 3rem; }

/* Pictures of 128 pixels, enlarged: two in a row, three where there are many and the screen is wide. */
.pictures .grid-wrap { min-height: 14rem; max-height: none; overflow: visible; }
.pictures .grid-container { grid-template-columns: repeat(2, minmax(0, 1fr)); padding: 0; }
.pictures .grid-container:not(:has(> :nth-child(2))) {
  grid-template-columns: minmax(0, 24rem);
  justify-content: center;
}
@media (min-width: 768px) {
  .pictures .grid-container:has(> :nth-child(5)) { grid-template-columns: repeat(4, minmax(0, 1fr)); }
}
.pictures .thumbnail-item { aspect-ratio: auto; display: block; }
.pictures .thumbnail-item img { width: 100%; height: auto; aspect-ratio: 1; }
.pictures .caption-label { position: static; max-width: none; border: 0; text-align: center; }
#past .grid-container { grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); }
#past .caption-label { max-width: 100%; font-size: .7rem; }

#model label { width: 100%; }

/* Tables of pictures. */
table.cells { width: 100%; table-layout: fixed; border-collapse: collapse; border: 0; margin: 0 0 .5rem; }
table.cells :is(tr, th, td) { border: 0; background: none; padding: .25rem; }
table.cells th { text-align: left; font-weight: 600; }
table.cells thead th { text-align: center; font-weight: 400; }
table.cells td { text-align: center; font-size: .85rem; vertical-align: top; }
.cells img, .cells .empty {
  display: block; width: 100%; max-width: 12rem; height: auto; aspect-ratio: 1; margin: 0 auto .25rem;
  border-radius: var(--radius-lg); background: #fff;
}
@media (max-width: 640px) { table.cells :is(td, thead th) { padding: .125rem; font-size: .65rem; } }
.cells button { display: block; width: 100%; max-width: 12rem; margin: 0 auto .25rem; padding: 0; cursor: pointer; }
.cells button img { margin: 0; }
.cells button:is(:hover, :focus-visible) { outline: 2px solid var(--primary-400); border-radius: var(--radius-lg); }
.cells button[aria-pressed="true"] { outline: 3px solid var(--primary-600); border-radius: var(--radius-lg); }
.cells .empty { background: var(--background-fill-secondary); }
.cells:has(thead th:nth-child(5)) img { max-width: 7rem; }  /* drawings of six artists */
@media (min-width: 900px) {
  table.cells.turned {
    display: grid; grid-auto-flow: column; align-items: start;
    grid-template: repeat(calc(var(--cells) + 1), auto) / 4rem repeat(var(--rows), minmax(0, 1fr));
  }
  .turned :is(thead, tbody, tr) { display: contents; }
  .turned th { text-align: center !important; overflow-wrap: anywhere; }
  .turned thead th { align-self: center; text-align: left !important; }
  .turned thead th:first-child { grid-row: 2; }
}

.sheet img { width: 100%; max-width: 100%; margin: 0; border-radius: var(--radius-lg); }

/* Two pictures under a slider. */
.slide { position: relative; max-width: 24rem; margin: 0 auto; aspect-ratio: 1; --at: 50%; }
.slide img { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; border-radius: var(--radius-lg); }
.slide img + img { clip-path: inset(0 0 0 var(--at)); }
.slide::after {
  content: ""; position: absolute; top: 0; bottom: 0; left: var(--at); border-left: 2px solid var(--primary-700);
}
.slide input {
  position: absolute; z-index: 1; inset: auto 0 .5rem; width: 100%; margin: 0; cursor: ew-resize;
  accent-color: var(--primary-600);
}
.names { display: flex; justify-content: space-between; max-width: 24rem; margin: .25rem auto 0 !important; gap: 1rem; }

/* Tables of figures. */
.scroll { overflow-x: auto; width: 0; min-width: 100%; }  /* never wider than the page */
table.figures td:first-child { white-space: nowrap; }
table.figures { border: 0; border-collapse: collapse; font-size: .85rem; margin: 0; }
table.figures :is(thead, tbody, tr) { border: 0; }
table.figures :is(th, td) { border: 0; border-bottom: 1px solid var(--border-color-primary); padding: .4rem .25rem;
  text-align: left; min-width: 3.25rem; }
table.figures th { font-size: .8rem; overflow-wrap: normal; vertical-align: bottom; }

/* The About page's drawing. */
.figure { width: 100%; max-width: 44rem; display: block; margin: 0 auto; }
.figure.tip { position: absolute; width: 0; }
.figure.tall { display: none; max-width: 24rem; }
@media (max-width: 640px) { .figure.wide { display: none; } .figure.tall { display: block; } }
.figure text { fill: var(--body-text-color); font-size: 13px; text-anchor: middle; }
.figure .label { text-anchor: start; font-weight: 600; font-size: 15px; }
.figure rect { fill: var(--background-fill-secondary); stroke: var(--border-color-primary); }
.figure rect.model { fill: none; stroke: var(--primary-600); stroke-width: 2; }
.figure path { fill: none; stroke: var(--body-text-color); stroke-width: 1.5; }
.figure path.back { stroke: var(--primary-600); stroke-dasharray: 5 4; }
.figure path.head { fill: var(--body-text-color); stroke: none; }

/* On a phone one link is left, and nothing to divide. */
.gradio-container footer { gap: 1rem; }
.gradio-container footer .divider { display: none !important; }

/* Pressed, a button darkens at once and fades back while the server thinks. */
.gradio-container button { transition: filter .6s; }
.gradio-container button:active { filter: brightness(.85); transition: none; }

/* A place in the queue is bold. */
#status:has(strong) {
  padding: .75rem 1rem; border-radius: var(--radius-lg); border-left: 4px solid var(--primary-600);
  background: var(--background-fill-secondary);
}
.hint p { font-size: .9rem; opacity: .85; }

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
