import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from e2ed2.assets import EMOJI
from e2ed2.data.captions import caption_pool, caption_texts
from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import Pictures, load_pictures, square
from e2ed2.errors import UserError
from e2ed2.models.minilm import MiniLM


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_bundled_set_is_what_the_documents_say():
    table = pq.read_table(EMOJI, columns=["concept", "style", "split", "license", "caption"]).to_pandas()
    assert len(table) > 5000
    assert table["concept"].nunique() > 900
    assert table["style"].nunique() == 6
    assert (table.groupby("concept")["style"].nunique() >= 3).all()
    assert not table.duplicated(["concept", "style"]).any()
    concepts = table.groupby("split")["concept"].agg(set)
    assert not concepts["concept"] & (concepts["train"] | concepts["combo"])
    assert 0.03 < (table["split"] == "combo").mean() < 0.07
    assert table["license"].notna().all()


def test_imagefolder(tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        (tmp_path / name).write_bytes(png(colour))
    lines = [{"file_name": "a.png", "text": "red thing"}, {"file_name": "b.png", "text": "blue thing"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    pictures = load_pictures(DataConfig(path=str(tmp_path), caption_column="text", resolution=16))
    assert pictures.images.shape == (2, 16, 16, 3)
    assert dict(zip(pictures.captions, pictures.images[:, 0, 0].tolist(), strict=True)) == {
        "red thing": [255, 0, 0],
        "blue thing": [0, 0, 255],
    }


def test_webdataset_shards(tmp_path):
    with tarfile.open(tmp_path / "000.tar", "w") as tar:
        for key, colour in (("0001", "red"), ("0002", "lime")):
            for suffix, data in (("png", png(colour)), ("txt", f"a {colour} thing".encode())):
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    config = DataConfig(path=str(tmp_path / "*.tar"), image_column="png", caption_column="txt", resolution=16)
    assert sorted(load_pictures(config).captions) == ["a lime thing", "a red thing"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"notes.txt": b"no picture"},
        {"metadata.csv": b"name,caption\na.png,a cat\n", "a.png": png("red")},
        {"000.tar": b"damaged"},
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, files):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=r"^[^\n]*cannot be read [^\n]*: give a folder of pictures[^\n]*$"):
        load_pictures(DataConfig(path=str(tmp_path), resolution=16))


def test_a_missing_column_is_named(parquet):
    with pytest.raises(UserError, match=r"no column 'text'.*--data.caption-column"):
        load_pictures(DataConfig(path=str(parquet), caption_column="text"))


def test_an_empty_split_lists_the_others(parquet):
    with pytest.raises(UserError, match=r"No picture has split 'test': choose one of .*train"):
        load_pictures(DataConfig(path=str(parquet), split="test"))


def test_square_crops_the_middle_and_averages_areas():
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    assert (square(Image.fromarray(pixels), 2) == 200).all()


def test_pixels_span_minus_one_to_one():
    images = np.stack([np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)])
    tensor = Pictures(images, ["a", "b"]).tensor(torch.tensor([1, 0]))
    assert tensor.shape == (2, 3, 2, 2)
    assert (tensor[0] == 1).all()
    assert (tensor[1] == -1).all()


@pytest.fixture
def cats():
    images = np.zeros((2, 2, 2, 3), np.uint8)
    words = {"keywords": [["kitty"], ["puppy"]], "styles": ["noto", ""], "descriptions": [["it purrs"], []]}
    return Pictures(images, ["cat face", "dog face"], named=True, **words)


def test_prompts_are_made_of_names_keywords_and_styles(cats):
    plain, styled = caption_texts(cats)
    assert any("kitty" in text for text in plain[0])
    assert {"it purrs", "a it purrs"} <= set(plain[0])
    assert "cat face, noto style" in styled[0]
    assert not any("noto" in text for text in plain[0])
    assert styled[1] == []


OWN = [
    "A photograph of the harbour at dawn, many boats, no people",
    "ein roter Kreis",
    "红色的圆",
    "cat face",
    "Ship 7",
]


def test_a_persons_own_captions_are_used_as_they_are():
    """Five of seven draws used to be other words."""
    others = [["boats"], [], [], ["kitty", "a cat"], []]
    plain, styled = caption_texts(Pictures(np.zeros((5, 2, 2, 3), np.uint8), OWN, others))
    assert plain == [[text, *more] for text, more in zip(OWN, others, strict=True)]
    assert styled == [[]] * 5


def test_what_a_training_draws_is_what_the_person_wrote(tmp_path):
    """Also where columns have names that the bundled set uses."""
    rows = ["file_name,caption,keywords,style", 'a.png,A Red Circle,"round, red",noto']
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    (tmp_path / "a.png").write_bytes(png("red"))
    pool = caption_pool(load_pictures(DataConfig(path=str(tmp_path), resolution=16)), MiniLM(), precompute=False)
    assert pool.captions == ["A Red Circle"]


def test_caption_embeddings_come_back_from_the_cache_unchanged(cats, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    first, second = caption_pool(cats, MiniLM()), caption_pool(cats, MiniLM())
    assert list(tmp_path.rglob("*.safetensors"))
    chosen = torch.arange(len(first.captions))
    a, b = first.embedding(chosen), second.embedding(chosen)
    assert torch.equal(a.tokens, b.tokens)
    assert torch.allclose(a.pooled.norm(dim=-1), torch.ones(len(chosen)), atol=1e-5)
    assert (a.tokens[~a.mask] == 0).all()


def test_embeddings_on_demand_are_the_precomputed_ones(cats, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    first, second = caption_pool(cats, MiniLM()), caption_pool(cats, MiniLM(), precompute=False)
    chosen = torch.tensor([3, 0, 5])
    for with_words in (True, False):
        a, b = first.embedding(chosen, with_words), second.embedding(chosen, with_words)
        assert torch.equal(a.mask, b.mask)
        assert torch.allclose(a.tokens, b.tokens, atol=1e-2)  # those on disk are in half precision
        assert torch.allclose(a.pooled, b.pooled, atol=1e-5)


def test_the_bundled_set_goes_by_a_name_that_holds_on_every_machine():
    assert DataConfig().path == "emoji"
    assert len(load_pictures(DataConfig(split="concept", resolution=16))) > 100
