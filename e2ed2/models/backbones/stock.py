"""The scheduler and call arguments with which a stock diffusers pipeline takes exactly the steps of our chain."""

import inspect
from typing import Any

from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.path import Flow
from e2ed2.models.backbones.backbone import Backbone

KINDS = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}  # diffusers' names


def stock_scheduler(backbone: Backbone, scheduler: Any, steps: int | None = None) -> Any:
    """The scheduler to publish the model with, instead of its pipeline's own `scheduler`.

    On the flow path the levels are given with each call (`stock_call`): by itself Euler's last step would begin at
    0.001. On the other path DDIM with trailing timesteps begins at pure noise and ends at the sample.

    Args:
        steps: the only number of steps the model was trained for, if there is one. From 2 on, the flow path's scheduler
            then ends at 1 / steps, and so takes these levels by itself, and no other number of steps.
    """
    if isinstance(backbone.path, Flow):
        ends: Any = 1 / steps if steps and steps > 1 else None
        return FlowMatchEulerDiscreteScheduler(shift=1.0, shift_terminal=ends)
    return DDIMScheduler.from_config(
        scheduler.config,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        clip_sample=False,
        thresholding=False,
        rescale_betas_zero_snr=backbone.path.alpha(1.0) == 0,
        prediction_type=KINDS[backbone.prediction],
    )


def for_any_steps(scheduler: Any) -> Any:
    """The same scheduler, accepting any levels that a call passes."""
    if not scheduler.config.get("shift_terminal"):
        return scheduler
    return type(scheduler).from_config(scheduler.config, shift_terminal=None)


def stock_call(pipeline: Any, steps: int) -> dict[str, Any]:
    """Arguments with which the pipeline and that scheduler sample as ours does, in `steps` steps without guidance."""
    wanted: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": 1.0, "use_resolution_binning": False}
    wanted["clean_caption"] = False  # as captions were embedded in the training
    if isinstance(pipeline.scheduler, FlowMatchEulerDiscreteScheduler):
        wanted["sigmas"] = list(uniform_levels(steps)[:-1])
    taken = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in wanted.items() if name in taken}
