"""The benchmark of a person's own pictures: what can be measured without knowing what is in them."""

from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import load_pictures
from e2ed2.errors import UserError
from e2ed2.evaluation.benchmark import Benchmark, Metric, Prompt
from e2ed2.evaluation.emoji import chosen
from e2ed2.evaluation.features.held_out import HeldOutEncoder
from e2ed2.evaluation.judges import Distance, Nearest
from e2ed2.evaluation.metrics.neighbours import FEWEST

LEFT_OUT = (
    "Alignment, style and diversity are measured on the bundled drawings only: they need things that are known by "
    "name and that several artists drew."
)


def own_benchmark(
    encoder: HeldOutEncoder, config: DataConfig, captions: int | None, seed: int, nearest: int
) -> Benchmark:
    """At most `captions` captions of the set, in an order that `seed` decides, compared with all its pictures.

    Raises:
        UserError: the set cannot be read, or has too few pictures.
    """
    pictures = load_pictures(config)
    if len(pictures) < FEWEST:
        raise UserError(f"{config.path} has {len(pictures)} pictures: at least {FEWEST} are needed to compare with.")
    features = encoder.deepest_of(pictures.images, "the real pictures")
    metrics: list[Metric] = [Distance(features)]
    if nearest:
        metrics.append(Nearest(encoder, nearest, pictures.images, features))
    prompts = [Prompt(pictures.captions[i]) for i in chosen(len(pictures), captions, seed)]
    return Benchmark(config.path, prompts, pictures.images, tuple(metrics), any_prompt=True, left_out=LEFT_OUT)
