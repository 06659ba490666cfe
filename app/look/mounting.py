"""Mounts pages on a site, and lets them answer a hand-made request as they answer a click: in one sentence."""

from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from gradio.blocks import BlockFunction
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from starlette.routing import Mount

from app.look.handlers import from_page

LISTED = "`gradio_client`'s view_api() lists what it takes."
ONLY_PAGES = "Only the pages themselves can ask for this: `gradio_client`'s view_api() lists what programs can."


class Pages(gr.Blocks):
    """Gradio's Blocks, with a sentence for anyone who calls an endpoint by hand and gets it wrong."""

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        *given: Any,
        request: Any = None,
        event_data: gr.EventData | None = None,
        **named: Any,
    ) -> dict[str, Any]:
        """Raises gr.Error, without a traceback in the log: a caller's mistake is no fault of the server."""
        try:
            if isinstance(block_fn, BlockFunction) and block_fn.api_visibility == "private" and not from_page(request):
                raise gr.Error(ONLY_PAGES)
            if event_data and not isinstance(event_data._data, dict):
                event_data = gr.EventData(event_data.target, {})
            return await super().process_api(block_fn, *given, request=request, event_data=event_data, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except AttributeError as error:
            if not isinstance(error.obj, gr.EventData):
                raise
            message = f"The event says no {error.name}: only the page itself can ask for this."
            raise gr.Error(message, print_exception=False) from error

    async def preprocess_data(self, block_fn: BlockFunction, *given: Any, **named: Any) -> list[Any]:
        """Raises gr.Error: a value is of the wrong type for the endpoint."""
        try:
            return await super().preprocess_data(block_fn, *given, **named)
        except gr.Error:
            raise
        except InvalidPathError as error:
            raise gr.Error(str(error)) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise gr.Error(f"/{block_fn.api_name} got a value of the wrong kind: {LISTED}") from error

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Raises gr.Error: too few values for the endpoint. Gradio's own message would list Python objects."""
        if len(inputs) < len(block_fn.inputs):
            raise gr.Error(f"/{block_fn.api_name} got too few values: {LISTED}")


def mount(site: FastAPI, demo: gr.Blocks, **options: Any) -> FastAPI:
    """Mount as Gradio does, but safely: Gradio does not check files' origin for pages that were never `launch`ed.

    Otherwise a hand-made request could name any file on this machine as its upload, and get it back.
    """
    demo.has_launched = True
    site = gr.mount_gradio_app(site, demo, **options)
    mounted = next(route.app for route in reversed(site.routes) if isinstance(route, Mount))
    for unknown in (FnIndexInferError, KeyError):  # what Gradio raises for an unknown endpoint name or number
        mounted.add_exception_handler(unknown, no_such_endpoint)
    return site


def no_such_endpoint(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "There is no such endpoint: `gradio_client`'s view_api() lists them."}, 404)
