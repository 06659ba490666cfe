"""docs/example-report: a study of two bundled models, certified, rehearsed by simulated raters, and reported.

python -m tools.example_report
"""

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from e2ed2.assets import CHECKPOINTS
from e2ed2.evaluation.emoji import prompts_of
from e2ed2.inference.request import Request
from e2ed2.inference.sampling import load, sample_image
from study.images.sources import Source
from study.protocol.parts import Hypothesis
from study.rehearsal.certify import certify, plain
from study.rehearsal.rehearse import People, Rehearse, rehearsed
from study.reporting.methods import Methods, write
from study.store.certificates import keep_certificate
from study.store.creating import make_study
from study.store.store import Store

KEPT = ("report.html", "results.json", "pilot.json", "certificate.json", "registration.json", "spec.json")
WRITTEN = ("methods.md", "methods.tex", "methods.bib")
STEPS = 4
ABOUT = """# A rehearsed study

What a study leaves, of pictures that two bundled models ({models}) painted for {prompts} prompts. **Nobody took part**:
simulated raters went through the real pages (`study rehearse`), and like the first model better by construction.
`python -m tools.example_report` makes it anew in about two minutes of one core; its secrets are others then,
and so are the figures.

- [report.html](report.html): the report, with the registered hypothesis, how fragile the verdict is, where it holds,
  and the certificate; `results.json` has its figures
- [methods.md](methods.md), `methods.tex`, `methods.bib`: the section for a paper, from `study methods`
- [certificate.json](certificate.json): what an attacker on the pages found, from `study certify`
- [pilot.json](pilot.json): whom the rules left out, minutes, cost, power, from `study rehearse`
- `spec.json`, `registration.json`: what was frozen, and when

Votes and pictures are left out for their size.
"""


@dataclass(frozen=True)
class Example:
    models: tuple[str, str] = ("lpips", "l2-lpips")
    prompts: int = 40
    raters_per_pair: int = 16
    people: People = field(default_factory=lambda: People(36, 3, 2, 2, 2, 1))
    """More than there are places, since raters whom the rules exclude are replaced."""
    showings: int = 240
    out: Path = Path("docs/example-report")


def main() -> None:
    options = tyro.cli(Example)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = Store.open(folder / "data", f"sqlite:///{folder}/data/study.db")
        study = make_study(
            store,
            "simulated-raters",
            paint(options, folder),
            raters_per_pair=options.raters_per_pair,
            hypotheses=(Hypothesis(*options.models, "overall"),),
            analysis="Net preference on each question, two-way clustered; raters are left out by the rules only.",
            contact="example@example.org",
        )
        keep_certificate(store.database, study, plain(certify(store, study, options.showings)))
        ask = Rehearse("simulated-raters", people=options.people, as_planned=True, out=folder / "report")
        rehearsed(store, study, ask, folder)
        write(Methods(str(ask.out), folder / "methods", pay="nothing: they are simulated"), folder / "report")
        options.out.mkdir(parents=True, exist_ok=True)
        for place, names in (("report", KEPT), ("methods", WRITTEN)):
            for name in names:
                shutil.copyfile(folder / place / name, options.out / name)
    about = ABOUT.format(models=" and ".join(options.models), prompts=options.prompts)
    (options.out / "README.md").write_text(about, "utf-8")
    results = options.out / "results.json"
    results.write_text(json.dumps(json.loads(results.read_text()), separators=(",", ":")) + "\n")


def paint(options: Example, folder: Path) -> list[Source]:
    """Each prompt by both models, from the same noise."""
    sources, known = [], {prompt.text: prompt for prompt in prompts_of("train", 4 * options.prompts)}
    prompts = list(known.values())[: options.prompts]
    for model in options.models:
        pipeline = load(model, CHECKPOINTS)
        for number, prompt in enumerate(prompts):
            file = folder / f"{model}-{number:03}.png"
            sample_image(pipeline, Request(prompt.text, model, STEPS, number)).save(file)
            sources.append(Source(prompt.text, model, file, prompt.style))
    return sources


if __name__ == "__main__":
    main()
