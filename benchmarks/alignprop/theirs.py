"""python -m benchmarks.alignprop.theirs FOLDER shipped|without-guidance|stored, in the environment that has TRL."""

import sys
import tempfile
from functools import partial
from importlib import import_module
from typing import Any

import torch
from accelerate import PartialState

from benchmarks.alignprop.measuring import tell
from benchmarks.alignprop.pipeline import BATCH, PROMPT, SIDE, STEPS
from e2ed2.losses.perceptual import PerceptualLoss

trl = import_module("trl")  # only this environment has it


def main(folder: str, how: str) -> None:
    PartialState()  # else its logger raises
    pipeline = trl.DefaultDDPOStableDiffusionPipeline(folder, use_lora=True)
    if how != "shipped":
        pipeline.sd_pipeline._encode_prompt = only_prompt
    if how == "stored":
        pipeline.rgb_with_grad = partial(pipeline.rgb_with_grad, gradient_checkpoint=False)
    perceptual = PerceptualLoss()
    target = torch.zeros(BATCH, 3, SIDE, SIDE)

    def reward(images: torch.Tensor, prompts: Any, more: Any) -> tuple[torch.Tensor, dict]:
        return -perceptual(2 * images - 1, target), {}

    with tempfile.TemporaryDirectory() as out:
        config = trl.AlignPropConfig(
            mixed_precision=None,
            sample_num_steps=STEPS,
            sample_guidance_scale=5.0 if how == "shipped" else 1.0,
            sample_eta=0.0,
            train_batch_size=BATCH,
            train_gradient_accumulation_steps=1,
            truncated_backprop_rand=False,
            truncated_backprop_timestep=0,
            log_with=None,
            project_kwargs={"project_dir": out},
        )
        trainer = trl.AlignPropTrainer(config, reward, lambda: (PROMPT, {}), pipeline)
        tell(lambda: trainer.step(0, 0), BATCH)


def only_prompt(*_: Any, prompt_embeds: torch.Tensor, **__: Any) -> torch.Tensor:
    """TRL hands over negative embeddings too, and diffusers joins them: without guidance it could not go on."""
    return prompt_embeds


if __name__ == "__main__":
    main(*sys.argv[1:])
