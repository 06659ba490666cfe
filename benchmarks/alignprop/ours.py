"""python -m benchmarks.alignprop.ours FOLDER none|step|block"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.alignprop.measuring import tell
from benchmarks.alignprop.pipeline import BATCH, PROMPT, RANK, SIDE, STEPS
from e2ed2.data.pictures import Pictures
from e2ed2.losses.spec import LossSpec
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.training.config import TrainerConfig
from e2ed2.training.trainer import Trainer


def main(folder: str, recomputed: str) -> None:
    config = BackboneEndToEndConfig(
        backbone=folder,
        loss=LossSpec.parse("lpips"),
        sampling_steps=(STEPS,),
        lora_rank=RANK,
        checkpointed=recomputed == "step",
        block_checkpointing=recomputed == "block",
        decode_batch=BATCH,
    )
    pictures = Pictures(np.full((BATCH, SIDE, SIDE, 3), 128, np.uint8), [PROMPT] * BATCH, [[]] * BATCH)
    objective = BackboneEndToEnd.of(config, SIDE)
    options = replace(TrainerConfig(), updates=1_000, batch_size=BATCH, mixed_precision="no")
    batches = objective.batches(pictures, BATCH, 0, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as out:
        tell(Trainer(options, objective, batches, Path(out)).train_step, BATCH)


if __name__ == "__main__":
    main(*sys.argv[1:])
