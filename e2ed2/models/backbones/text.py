"""A pipeline's own text encoders, called as the pipeline calls them: CLIP, T5, Gemma, or several together."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from e2ed2.models.backbones.codec import digest_of
from e2ed2.models.backbones.families import family_of
from e2ed2.types import TextEmbedding


class PipelineText:
    """Frozen. It embeds with the same settings as a call of the pipeline, and truncates at the same length."""

    def __init__(self, pipeline: Any, device: torch.device | str = "cpu"):
        self.pipeline, self.family = pipeline, family_of(pipeline)
        self.encoders = {
            name: part.eval().requires_grad_(False)
            for name, part in pipeline.components.items()
            if name.startswith("text_encoder") and isinstance(part, nn.Module)
        }
        self.options: dict[str, Any] = usual_options(pipeline)
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        self.options["device"] = torch.device(device)
        for part in self.encoders.values():
            part.to(device)

    def __call__(self, captions: Sequence[str]) -> TextEmbedding:
        """`B` captions => tokens `[B, L, D]`, mask `[B, L]`, pooled `[B, P]`; L is the pipeline's."""
        return self._embed(list(captions))

    @torch.no_grad()
    def _embed(self, captions: list[str], **options: Any) -> TextEmbedding:
        more = {name: captions for name in ("prompt_2", "prompt_3") if name in self.options}
        return self.family.embed(self.pipeline.encode_prompt(captions, **self.options | more | options))

    def empty(self) -> TextEmbedding:
        """The negative prompt of guidance: no words, and none of the instructions that SANA's pipeline prepends."""
        bare = {"complex_human_instruction": None} if "complex_human_instruction" in self.options else {}
        return self._embed([""], **bare)

    @property
    def width(self) -> int:
        return self([""]).tokens.shape[-1]

    @property
    def max_tokens(self) -> int:
        return int(self.options.get("max_sequence_length") or self.pipeline.tokenizer.model_max_length)

    @property
    def fingerprint(self) -> str:
        return digest_of(self.encoders)

    def unread(self, caption: str) -> str:
        tokenizer = self.pipeline.tokenizer
        tokens = tokenizer(caption, add_special_tokens=False)["input_ids"]
        room = self.max_tokens - tokenizer.num_special_tokens_to_add()
        return tokenizer.decode(tokens[room:]).strip() if len(tokens) > room else ""

    def unknown(self, caption: str) -> list[str]:
        """None: these tokenizers spell out words they do not know."""
        return []

    def notes(self, prompt: str) -> list[str]:
        end = self.unread(prompt)
        return [f"Only the first {self.max_tokens} tokens of a prompt are read: “{end}” has no effect."] if end else []


def usual_options(pipeline: Any) -> dict[str, Any]:
    """Arguments of `encode_prompt` as a call of the pipeline without guidance passes them.

    But for cleaning captions, as PixArt's does where two more packages are installed: a model would read other words on
    another machine.
    """
    called = inspect.signature(pipeline.__call__).parameters
    taken = inspect.signature(pipeline.encode_prompt).parameters
    usual = {name: called[name].default for name in taken if name in called and name != "prompt"}
    raw = {"clean_caption": False} if "clean_caption" in usual else {}
    return usual | raw | {"do_classifier_free_guidance": False, "num_images_per_prompt": 1}
