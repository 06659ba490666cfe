"""Which of our pictures are near real ones, and which real ones are near ours (Kynkaanniemi et al. 2019)."""

from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from e2ed2.evaluation.metrics.figure import Figure
from e2ed2.evaluation.metrics.neighbours import NEIGHBOURS

PRC = {"prc_neighborhood": NEIGHBOURS, "prc_batch_size": 10_000, "save_cpu_ram": False, "verbose": False}


def precision_recall(ours: Tensor, real: Tensor) -> tuple[Figure, Figure]:
    """Features `[N, D]` and `[M, D]`, at least `FEWEST` of each."""
    figures = prc_features_to_metric(ours, real, **PRC)
    return Figure(float(figures["precision"])), Figure(float(figures["recall"]))
