"""Mounts pages on a site, and lets them answer a hand-made request as they answer a click: in one sentence."""

import math
from collections.abc import Sequence
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

UNFIT = "/{} got a value that no page sends: only the pages themselves can ask for this."


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
                refuse_unfit(block_fn, named.get("inputs", given[0] if given else ()), error)
                raise
            message = f"The event says no {error.name}: only the page itself can ask for this."
            raise gr.Error(message, print_exception=False) from error
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            refuse_unfit(block_fn, named.get("inputs", given[0] if given else ()), error)
            raise

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


def refuse_unfit(block_fn: BlockFunction | int, values: Sequence[Any], error: Exception) -> None:
    """Raises gr.Error if a private handler failed on a value that no page sends; any other failure is the server's."""
    if not isinstance(block_fn, BlockFunction) or block_fn.api_visibility != "private":
        return
    if not all(map(fits, block_fn.inputs, values)):
        raise gr.Error(UNFIT.format(block_fn.api_name), print_exception=False) from error


def fits(component: Any, value: Any) -> bool:
    """Whether a page can send a value of this type for the component."""
    if isinstance(component, gr.CheckboxGroup) or (isinstance(component, gr.Dropdown) and component.multiselect):
        return value is None or (isinstance(value, list) and all(isinstance(one, str | int | float) for one in value))
    if isinstance(component, gr.Dropdown | gr.Radio):
        return value is None or isinstance(value, str | int | float)
    if isinstance(component, gr.Textbox):
        return value is None or isinstance(value, str)
    if isinstance(component, gr.Slider | gr.Number):
        empty = value is None and isinstance(component, gr.Number)
        return empty or (isinstance(value, int | float) and math.isfinite(value))
    return True


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
