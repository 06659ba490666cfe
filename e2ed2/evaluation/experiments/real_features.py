"""Compute the held-out encoder's features of the bundled drawings once and for all: it takes many minutes.

python -m e2ed2.evaluation.experiments.real_features    # writes assets/emoji/features.safetensors
"""

from pathlib import Path

from e2ed2.assets import EMOJI_FEATURES
from e2ed2.errors import exit_on_user_error
from e2ed2.evaluation.emoji import drawings
from e2ed2.evaluation.features.held_out import HeldOutEncoder, fingerprint
from e2ed2.tensors import save_tensors

SPLITS = ("train", "combo")  # the drawings that models' pictures are compared with
NOWHERE = Path()


@exit_on_user_error()
def main() -> None:
    """Recompute all features; each split is stored under its fingerprint, so that other drawings never get these."""
    encoder, pictures = HeldOutEncoder(), {split: drawings(split).images for split in SPLITS}
    features = {
        fingerprint(images): encoder.deepest_of(images, f"drawings of split {split}", shipped=NOWHERE).half()
        for split, images in pictures.items()
    }
    save_tensors(features, EMOJI_FEATURES)
    print(EMOJI_FEATURES)


if __name__ == "__main__":
    main()
