"""CLIP score: how well a picture fits its prompt, as a plain cosine (Hessel et al. 2021, without their factor)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from e2ed2.errors import UserError

PREFIX = "A photo depicts "
PRECISION = torch.float32  # whatever the precision of the file, which may be half


class ClipScore:
    """A CLIP model's folder, as transformers writes it."""

    prefix = PREFIX

    def __init__(self, folder: Path, device: torch.device):
        """Raises UserError: the folder is incomplete or damaged."""
        self.device = device
        try:
            model: Any = CLIPModel.from_pretrained(folder, dtype=PRECISION, local_files_only=True)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.processor: Any = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{folder} is no CLIP model of transformers ({reason}): copy it again.") from error
        self.model = model.eval().to(device)

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> Tensor:
        """`N` RGB pictures and their prompts => `[N]` cosines on the CPU."""
        length = self.model.config.text_config.max_position_embeddings
        texts = [self.prefix + prompt for prompt in prompts]
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
        pixels = self.processor(images=list(pictures), return_tensors="pt")
        embedded = self.model(**tokens.to(self.device), pixel_values=pixels["pixel_values"].to(self.device))
        return F.cosine_similarity(embedded.image_embeds, embedded.text_embeds).cpu()
