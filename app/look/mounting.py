"""Pages become part of a site, and answer a hand-made request as they do a click: in one sentence."""

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
    """Gradio's, with words for who calls an endpoint by hand."""

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        *given: Any,
        request: Any = None,
        event_data: gr.EventData | None = None,
        **named: Any,
    ) -> dict[str, Any]:
        """Raises gr.Error, which leaves no traceback: what a person is to know is no fault of the server's."""
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
        """Raises gr.Error: a value is of a kind that the endpoint does not take."""
        try:
            return await super().preprocess_data(block_fn, *given, **named)
        except gr.Error:
            raise
        except InvalidPathError as error:
            raise gr.Error(str(error)) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise gr.Error(f"/{block_fn.api_name} got a value of the wrong kind: {LISTED}") from error

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Raises gr.Error: fewer values than the endpoint takes. Gradio's own words list objects of Python's."""
        if len(inputs) < len(block_fn.inputs):
            raise gr.Error(f"/{block_fn.api_name} got too few values: {LISTED}")


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
