"""Pages become part of a site, and answer a hand-made request as they do a click: in one sentence."""

from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from gradio.blocks import BlockFunction
from gradio.route_utils import FnIndexInferError
from starlette.routing import Mount


class Pages(gr.Blocks):
    """Gradio's, with words for who calls an endpoint by hand."""

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Raises gr.Error: fewer values than the endpoint takes. Gradio's own words list objects of Python's."""
        if len(inputs) < len(block_fn.inputs):
            raise gr.Error(
                f"/{block_fn.api_name} got too few values: `gradio_client`'s view_api() lists those that it takes.",
                print_exception=False,
            )


def mount(site: FastAPI, demo: gr.Blocks, **options: Any) -> FastAPI:
    """As Gradio does, and safely: of pages that were never `launch`ed it does not ask where a file comes from.

    A hand-made request could then name any file of this machine as one that was uploaded, and get it back.
    """
    demo.has_launched = True
    site = gr.mount_gradio_app(site, demo, **options)
    mounted = next(route.app for route in reversed(site.routes) if isinstance(route, Mount))
    for unknown in (FnIndexInferError, KeyError):  # what Gradio raises of an endpoint's name or number that it lacks
        mounted.add_exception_handler(unknown, no_such_endpoint)
    return site


def no_such_endpoint(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "There is no such endpoint: `gradio_client`'s view_api() lists them."}, 404)
