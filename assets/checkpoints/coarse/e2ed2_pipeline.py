"""The pipeline's class, for `DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)`."""

from importlib import import_module

try:
    E2ED2Pipeline = import_module("e2ed2.inference.pipeline").E2ED2Pipeline
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"This model needs the package e2ed2 ({error}): run `pip install .` in a copy of its repository."
    ) from error
