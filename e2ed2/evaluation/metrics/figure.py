"""What a metric gives: figures by their names, which say where in a result they stand (`distance.fd`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number, and its 95% interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        spread = "" if self.low is None or self.high is None else f" ({self.low:.3g} to {self.high:.3g})"
        return f"{self.value:.4g}{spread}"


Figures = dict[str, Figure]
