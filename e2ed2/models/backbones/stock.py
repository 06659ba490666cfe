"""What makes a stock pipeline of diffusers take exactly the steps of our chain: its scheduler, and how it is called."""

import inspect
from typing import Any

from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.path import Flow
from e2ed2.models.backbones.backbone import Backbone

KINDS = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}  # as diffusers says it


def stock_scheduler(backbone: Backbone, scheduler: Any) -> Any:
    """The scheduler to publish the model with, instead of its pipeline's own `scheduler`.

    On the flow path the levels are given with each call (`stock_call`): by itself Euler's last step would begin at
    0.001. On the other path DDIM with trailing timesteps begins at pure noise and ends at the sample.
    """
    if isinstance(backbone.path, Flow):
        return FlowMatchEulerDiscreteScheduler(shift=1.0)
    return DDIMScheduler.from_config(
        scheduler.config,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        clip_sample=False,
        thresholding=False,
        rescale_betas_zero_snr=backbone.path.alpha(1.0) == 0,
        prediction_type=KINDS[backbone.prediction],
    )


def stock_call(pipeline: Any, steps: int) -> dict[str, Any]:
    """Arguments with which the pipeline, with that scheduler, samples as ours does: in so many steps, no guidance."""
    wanted: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": 1.0, "use_resolution_binning": False}
    if isinstance(pipeline.scheduler, FlowMatchEulerDiscreteScheduler):
        wanted["sigmas"] = list(uniform_levels(steps)[:-1])
    taken = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in wanted.items() if name in taken}
