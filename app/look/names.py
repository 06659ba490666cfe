"""What the models are called on every page."""

DESCRIPTIONS = {
    "energy": "likeness and variety",
    "independent": "a network for each step",
    "l1": "absolute error",
    "l2": "squared error",
    "l2-lpips": "squared error, likeness",
    "l2-lpips-gan": "squared error, likeness, a critic",
    "lpips": "likeness to the eye",
    "single-step": "single steps only",
}


NAMES = "What each compared in training: l1 absolute error, l2 squared error, lpips likeness to the eye, gan a critic."
