"""Diffusers pipelines that the server's owner adds to the models on the pages."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from e2ed2.inference.request import Request


class AddedPipeline:
    """A diffusers pipeline, called as it is meant to be; its chain of steps cannot be inspected."""

    def __init__(self, folder: Path, device: str):
        from e2ed2.inference.stock import load_pipeline, was_trained_here  # diffusers takes seconds to import

        self.pipeline: Any = load_pipeline(folder, device)
        self.trained_here = was_trained_here(folder)

    def image(self, request: Request, after_step: Callable[[], None] = lambda: None) -> Image.Image:
        """The picture; `after_step` may raise to abort it, if the pipeline reports its steps."""
        from e2ed2.inference.stock import StockPipeline

        model, more = StockPipeline(self.pipeline, request.steps, None, self.trained_here), {}
        if "callback_on_step_end" in inspect.signature(self.pipeline.__call__).parameters:
            more["callback_on_step_end"] = lambda pipeline, index, level, tensors: after_step() or tensors
        return model.image(request, **more)
