"""Pipelines of the families with a few thousand random weights: `--backbone tiny:sana`, for tests and rehearsals.

Everything is built from diffusers' and transformers' own classes, tokenizers included; nothing is downloaded. They make
pictures of 32 by 32 pixels from latents of 16 by 16.
"""

import string
from collections.abc import Callable
from typing import Any

import diffusers as lazy_diffusers
import torch
import transformers as lazy_transformers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from e2ed2.errors import UserError

diffusers: Any = lazy_diffusers  # their lazy imports hide the classes from a type checker
transformers: Any = lazy_transformers

PREFIX = "tiny:"
SIDE = 32  # pixels
GRID = 16
TEXT = 32  # width of the text encoders
LETTERS = string.ascii_lowercase + string.digits + string.punctuation


def tiny_pipeline(family: str, seed: int = 0) -> Any:
    """A pipeline of that family whose random weights are those of the seed. Raises UserError: unknown family."""
    if family not in TINY:
        raise UserError(f"There is no tiny backbone {family!r}: choose tiny: and one of {', '.join(TINY)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TINY[family]()


def _sd() -> Any:
    unet = diffusers.UNet2DConditionModel(**UNET, cross_attention_dim=TEXT)
    text: Any = {"text_encoder": _clip(), "tokenizer": _clip_tokenizer()}
    nothing: Any = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return diffusers.StableDiffusionPipeline(vae=_kl(), unet=unet, scheduler=_ddim("scaled_linear"), **text, **nothing)


def _pixart() -> Any:
    network = diffusers.PixArtTransformer2DModel(
        num_attention_heads=3,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,  # half of them are variances
        num_layers=2,
        cross_attention_dim=24,
        sample_size=GRID,
        caption_channels=TEXT,
    )
    scheduler = _ddim("linear", 0.0001, 0.02)
    return diffusers.PixArtAlphaPipeline(_letters(), _t5(), _kl(), network, scheduler)


def _sana() -> Any:
    network = diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=4,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=TEXT,
        sample_size=GRID,
    )
    options: Any = {"vocab_size": 256, "hidden_size": TEXT, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
    gemma = transformers.Gemma2Model(transformers.Gemma2Config(**options, **heads)).eval()
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return diffusers.SanaPipeline(_letters(), gemma, _dc(), network, scheduler)


def _sd3() -> Any:
    network = diffusers.SD3Transformer2DModel(
        sample_size=GRID,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * TEXT,  # as wide as both CLIPs together
        caption_projection_dim=16,
        pooled_projection_dim=2 * TEXT,
        out_channels=4,
    )
    clips: Any = {"text_encoder": _clip(projected=True), "text_encoder_2": _clip(projected=True)}
    words: Any = {"tokenizer": _clip_tokenizer(), "tokenizer_2": _clip_tokenizer(), "tokenizer_3": _letters()}
    t5: Any = _t5(2 * TEXT)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    return diffusers.StableDiffusion3Pipeline(network, scheduler, _kl(0.0609), **clips, **words, text_encoder_3=t5)


TINY: dict[str, Callable[[], Any]] = {"sd": _sd, "pixart": _pixart, "sana": _sana, "sd3": _sd3}

UNET: dict[str, Any] = {
    "block_out_channels": (4, 8),
    "layers_per_block": 1,
    "sample_size": GRID,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 2,
    "norm_num_groups": 2,
}


def _ddim(beta_schedule: str, beta_start: float = 0.00085, beta_end: float = 0.012) -> Any:
    betas: Any = {"beta_schedule": beta_schedule, "beta_start": beta_start, "beta_end": beta_end}
    return diffusers.DDIMScheduler(**betas, steps_offset=1, clip_sample=False, set_alpha_to_one=False)


def _kl(shift: float | None = None) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=2,
        sample_size=SIDE,
        scaling_factor=0.18215,
        shift_factor=shift,
    ).eval()


def _dc() -> Any:
    blocks = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {
            "block_types": ("ResBlock", "EfficientViTBlock"),
            "block_out_channels": (8, 8),
            "layers_per_block": (1, 1),
            "qkv_multiscales": ((), (5,)),
        }.items()
    }
    options: Any = {"upsample_block_type": "interpolate", "downsample_block_type": "conv", "scaling_factor": 0.41407}
    return diffusers.AutoencoderDC(latent_channels=4, attention_head_dim=2, **blocks, **options).eval()


def _clip(projected: bool = False) -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=1000,
        hidden_size=TEXT,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=TEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    kind: Any = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(config).eval()


def _t5(width: int = TEXT) -> Any:
    sizes: Any = {"vocab_size": 256, "d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return transformers.T5EncoderModel(transformers.T5Config(**sizes)).eval()


def _clip_tokenizer() -> Any:
    """A tokenizer of single letters."""
    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def _letters() -> Any:
    """A tokenizer of single letters, with the special tokens of T5."""
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", "<s>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special: Any = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>"}
    options: Any = {"model_max_length": 2048, "padding_side": "right"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special, **options)
