"""The page that paints in the browser: its arithmetic against Python's, its weights, what it is made of."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from playwright.sync_api import Route

from e2ed2.data.emoji import groups, split_style
from e2ed2.errors import UserError
from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.minilm import spelt_out
from e2ed2.reading import spelling
from e2ed2.reading.characters import named, says_nothing, spelt
from e2ed2.reading.denied import wanted
from e2ed2.reading.reader import ARTICLE, Candidate, style_of
from e2ed2.reading.scene import is_about_its_subject, scene_of
from e2ed2.reading.usual import in_usual_words
from e2ed2.web import packages
from e2ed2.web.compensating import moments
from e2ed2.web.packing import pack
from e2ed2.web.parts import Coarse, Part, graph_of
from e2ed2.web.tables import asking_table, character_table, scene_table, spelling_table, text_table
from e2ed2.web.writing import PAGE

from .conftest import TINY_DENOISER

SEEDS = (0, 7, 12345, 2**31 - 1)
COUNTS = (16, 35, 2048)
PROMPTS = (
    "red apple",
    " two 🍎 for me\u00a0",
    "👍🏽, noto style",
    "a dog in fluent style",
    "house flat",
    "house flat style",
    "flat",
    "★ THE FLAG, Noto",
    "A noto style cat",
    "twemoji rocket",
    "a flat tyre",
    "flat style house",
    "cat in the style of Fluent, please!",
    "living in a flat",
    "cat in an openmoji style.",
    "\x1ctabs\tand\u3000spaces\ufeff",
)
MISTAKES = (
    *("a bananna and a pinaple", "elefant", "strwaberry cake", "qzxv house", "a normal sentence", "GIRAFE, noto"),
    *("appel", "teddybear", "hosue", "Bannanas", "aple cak", "infinity", "jalapeño", "Ünicorn élefant"),
)
CHARACTERS = (
    *(
        "❤️",
        "a 😡 please",
        "🐻‍❄️",
        "🧑🏽‍🚀",
        "🇫🇷🚀",
        "🐶 and 🍎",
        ":)",
        ":-)",
        "a cat :)",
        "constructor",
    ),
    *("★", "\tmoose 🫎\t", "?!", "…", "«»", "", "$", "a", "^"),
)
ASKED = (
    *(
        "no dogs, just a cat",
        "a CAT, not a dog",
        "🐱 not a 🐶",
        "it’s not an apple, it’s a pear",
        "not a car",
        "no smoking",
    ),
    *(":-(", ", a cat,", "My TELLY, not the loo", "two spuds!", "rocks", "brollies", "a bird that isn't a duck ", ""),
)
SCENES = (
    *("a dog running on the beach", "my car parked by the sea", "A DOG, eating a carrot", "fire breathing dragon"),
    *("a monkey with a banana", "a plate with spaghetti", "a dog in a black suit", "a dog at night", "a dog", "", "…"),
    *("a dog's house on the hill", "a very very very small dog on the sofa", "a dog running", "flying over the sea"),
    *("a ring on the sofa", "the dog on fire", "dogs in the garden", "naïve dog on the sofa"),
    "a robot eating a carrot",
)
KNOWN = ("dog", "robot", "car", "carrot", "monkey", "plate", "fire", "a dog")
MEANT = (("", 0.0), ("carrot", 0.9), ("banana", 0.6), ("spaghetti", 0.9), ("dragon", 0.9), ("dog", 0.3), ("house", 0.3))
OWN = (("dog", 0.9), ("robot", 0.9), ("monkey face", 0.9), ("fire", 0.9), ("grinning face", 0.9), ("dog", 0.3))
NAMES = ("banana", "elephant", "red apple", "teddy bear", "house")
SCRIPT = """async (given) => {
  const { seeds, counts, styles, prompts, mistakes, vocabulary, names, english, spelling, text } = given;
  const { typed, table, asked, asking, scenes, scene, meant, own } = given;
  const { chosen, normal } = await import(`${location.origin}/chance.js`);
  const { Speller } = await import(`${location.origin}/spelling.js`);
  const { Words } = await import(`${location.origin}/words.js`);
  const { Characters } = await import(`${location.origin}/characters.js`);
  const { Asking } = await import(`${location.origin}/asking.js`);
  const { Scenes } = await import(`${location.origin}/scene.js`);
  const set = new Scenes(scene), called = ([name, probability]) => name ? { name, probability } : undefined;
  const ask = new Asking(asking), words = new Words(text), characters = new Characters(table, words);
  return {
    noise: seeds.map((seed) => counts.map((count) => [...normal(seed, count)])),
    styles: [...Array(64).keys()].map((seed) => chosen(seed, "style", styles)),
    read: prompts.map((prompt) => words.splitStyle(words.stripped(words.speltOut(prompt)))),
    scenes: scenes.map((one) => {
      const of = set.isKnown(one) ? null : set.of(one);
      const about = (whole) => own.map((each) => set.isAboutItsSubject(of, called(whole), called(each)));
      return of ? [of.subject, of.rest, meant.map(about)] : null;
    }),
    asked: asked.map((one) => ask.inUsualWords(ask.wanted(one))),
    characters: typed.map((one) => [characters.spelt(one), characters.named(one), characters.sayNothing(one)]),
    spelt: mistakes.map((one) => new Speller(vocabulary, names, english, spelling).corrected(one)),
  };
}"""


@pytest.fixture(scope="module")
def vocabulary() -> list[str]:
    return sorted(
        {
            "banana",
            "pineapple",
            "elephant",
            "elegant",
            "strawberry",
            "cake",
            "teddybear",
            "giraffe",
            "house",
            "apple",
            "bandana",
        }
    )


@pytest.fixture(scope="module")
def in_javascript(vocabulary, browser) -> dict:
    """What the page's own modules make of the same, in a browser without a network."""

    def answer(route: Route) -> None:
        file = PAGE / Path(urlsplit(route.request.url).path).name
        route.fulfill(path=file) if file.is_file() else route.fulfill(body="", content_type="text/html")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://page.test/")
    text = text_table()
    given = {
        "seeds": SEEDS,
        "counts": COUNTS,
        "styles": text["styles"],
        "prompts": PROMPTS,
        "mistakes": MISTAKES,
        "vocabulary": vocabulary,
        "names": NAMES,
        "english": [word for word in spelling.english() if not spelling.is_rare(word)],
        "spelling": spelling_table(),
        "text": text,
        "typed": CHARACTERS,
        "table": character_table(),
        "asked": ASKED,
        "asking": asking_table(),
        "scenes": SCENES,
        "scene": scene_table(list(groups()), KNOWN),
        "meant": MEANT,
        "own": OWN,
    }
    found = page.evaluate(SCRIPT, given)
    page.close()
    return found


def test_a_seed_is_the_noise_that_it_is_in_python(in_javascript):
    for seed, each in zip(SEEDS, in_javascript["noise"], strict=True):
        for count, noise in zip(COUNTS, each, strict=True):
            expected = torch.randn(count, generator=torch.Generator().manual_seed(seed))
            assert torch.allclose(torch.tensor(noise), expected, rtol=0, atol=1e-6), (seed, count)


def test_a_seed_is_the_style_that_it_is_in_python(in_javascript):
    assert in_javascript["styles"] == [style_of(seed) for seed in range(64)]


def test_prompts_are_spelt_out_and_styles_found_as_in_python(in_javascript):
    assert in_javascript["read"] == [list(split_style(spelt_out(prompt).strip())) for prompt in PROMPTS]


def test_emoji_and_emoticons_are_called_as_in_python(in_javascript):
    expected = [[spelt(one), named(one), says_nothing(one)] for one in CHARACTERS]
    assert in_javascript["characters"] == expected


def test_what_is_wanted_is_found_as_in_python(in_javascript):
    assert in_javascript["asked"] == [in_usual_words(wanted(one)) for one in ASKED]


def test_scenes_are_read_as_in_python(in_javascript):
    known = set(KNOWN)

    def in_python(text: str) -> list | None:
        if re.sub(ARTICLE, "", text.lower()) in known or not (scene := scene_of(text, known)):
            return None
        wholes, owns = ([Candidate(*one) for one in some] for some in (MEANT, OWN))
        return [*scene, [[is_about_its_subject(scene, w, o, groups().get(o.name, "")) for o in owns] for w in wholes]]

    expected = [in_python(text) for text in SCENES]
    assert in_javascript["scenes"] == expected
    decided = [each for one in expected if one for whole in one[2] for each in whole]
    assert sum(decided) > 20
    assert decided.count(False) > 20


def test_typing_mistakes_are_mended_as_in_python(in_javascript, vocabulary):
    expected = [spelling.Speller(vocabulary, NAMES)(one) for one in MISTAKES]
    assert in_javascript["spelt"] == expected
    assert sum(map(str.__ne__, MISTAKES, expected)) > len(MISTAKES) // 2


def model_of(op: str, weights: np.ndarray, given: str, shape: list[int], kind: int = TensorProto.FLOAT, **options):
    order = ["w", given] if op == "Gather" else [given, "w"]
    graph = helper.make_graph(
        [helper.make_node(op, order, ["out"], **options)],
        "one",
        [helper.make_tensor_value_info(given, kind, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def test_the_choice_is_read_off_the_noise_as_in_python():
    path = build_denoiser(replace(TINY_DENOISER, choice="one-hot", kept=(1, 3))).coarse.eval()
    noise, pooled = torch.randn(8, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.randn(1, 384)
    part = Part("coarse", Coarse(path), {"z": noise[0], "pooled": pooled}, ("coarse", "choice"))
    run = ReferenceEvaluator(graph_of(part, most_tokens=4)).run
    drawn = np.stack([run(["choice"], {"z": z.numpy(), "pooled": pooled.numpy()})[0] for z in noise])
    assert np.array_equal(drawn, torch.stack([path.choose(z) for z in noise]).numpy())
    assert set(drawn.argmax(axis=2).ravel()) == {1, 3}


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_a_packed_matrix_is_off_by_half_a_step_at_most(op):
    draws = np.random.default_rng(0)
    weights = draws.normal(size=(256, 256)).astype(np.float32) * np.geomspace(0.01, 9, 256, dtype=np.float32)[:, None]
    weights[0] = 0  # a channel that does nothing
    inputs = weights if op == "MatMul" else np.ascontiguousarray(weights.T)
    model = model_of(op, inputs, "x", [256, 256], **({"transB": 1} if op == "Gemm" else {}))
    pack(model, precision=9)
    assert {one.name for one in model.graph.initializer if one.dims and np.prod(one.dims) > 256} == {"w.high", "w.low"}
    found = ReferenceEvaluator(model).run(None, {"x": np.eye(256, dtype=np.float32)})[0]
    step = np.sqrt((weights**2).mean(axis=1, keepdims=True)) / 2**9
    assert np.all(np.abs(found - weights) <= 0.501 * step + 1e-7)
    assert np.abs(found - weights).max() > 0


def test_rows_of_a_table_that_are_known_are_precise_and_unused_ones_are_nothing():
    weights = np.random.default_rng(0).normal(size=(300, 128)).astype(np.float32)
    known, unused = range(0, 100), [299]
    model = model_of("Gather", weights, "ids", [None], TensorProto.INT64)
    pack(model, precision=8, known=known, unused=unused)
    found = ReferenceEvaluator(model).run(None, {"ids": np.arange(300)})[0]
    off = np.abs(found - weights).max(axis=1)
    assert off[:100].max() < 0.51 * 1.3 / 2**8 < off[100:299].min() < off[100:299].max() < 0.51 * 1.3 / 2**4
    assert not found[299].any()


def test_what_a_matrix_makes_of_the_inputs_that_it_gets_is_spared():
    """Inputs that go together: rounding errors then cancel in what comes of them, though no weight is nearer."""
    draws = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(256, 256, bias=False)
    torch.nn.init.normal_(layer.weight, generator=draws)
    inputs = torch.randn(2000, 16, generator=draws) @ torch.randn(16, 256, generator=draws)
    inputs += 0.1 * torch.randn(2000, 256, generator=draws)
    matrix = np.ascontiguousarray(layer.weight.detach().numpy().T)
    found = {}
    for name, seen in (("spared", moments(layer, [(inputs,)])), ("plain", None)):
        model = model_of("MatMul", matrix, "x", [256, 256])
        pack(model, precision=5, seen=seen)
        found[name] = ReferenceEvaluator(model).run(None, {"x": np.eye(256, dtype=np.float32)})[0]
    off = {name: np.abs(inputs.numpy() @ (one - matrix)).mean() for name, one in found.items()}
    assert off["spared"] < off["plain"] / 3
    step = np.sqrt((matrix**2).mean(axis=1, keepdims=True)) / 2**5
    assert np.allclose(found["spared"] / step, np.rint(found["spared"] / step), atol=1e-3)  # as few bits


def test_small_arrays_stay_as_they_are():
    model = model_of("MatMul", np.eye(100, dtype=np.float32), "x", [1, 100])
    before = model.SerializeToString()
    pack(model, precision=2)
    assert model.SerializeToString() == before


ONE = packages.Package("nothing", "1.0.0", "sha512-", {})


def pretend_npm(folder: Path, script: str) -> None:
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("", "install Node.js"),
        ("exit 1", "npm could not fetch nothing@1.0.0"),
        ('echo other > "$4/nothing-1.0.0.tgz"', "another nothing 1.0.0 than the one pinned"),
    ],
)
def test_what_npm_cannot_do_is_one_sentence(tmp_path, monkeypatch, script, sentence):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "PACKAGES", (ONE,))
    if script:
        pretend_npm(tmp_path, script)
    with pytest.raises(UserError, match=sentence):
        packages.vendored()
    assert not ONE.cache_file.exists()


def test_the_page_asks_no_other_host_and_runs_no_text():
    page = (PAGE / "index.html").read_text()
    assert "default-src 'none'" in page
    assert "unsafe-inline" not in page
    assert "'unsafe-eval'" not in page
    for file in PAGE.iterdir():
        if file.suffix in (".html", ".css", ".js"):
            assert "//cdn" not in (text := file.read_text())
            assert "eval(" not in text
            assert "https://" not in text, file
