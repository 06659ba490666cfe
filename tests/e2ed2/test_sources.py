"""What people keep their pictures in: read as it is meant, or refused in words that help."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import load_pictures
from e2ed2.data.sources import read_table
from e2ed2.errors import UserError


def png(colour="red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


def load(path, **options):
    return load_pictures(DataConfig(path=str(path), resolution=16, **options))


def folder(place, table: bytes | str, name="metadata.csv", pictures=("a.png", "b.png")):
    place.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (place / picture).parent.mkdir(parents=True, exist_ok=True)
        (place / picture).write_bytes(png())
    (place / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    return place


TABLE = "file_name,caption\na.png,one\nb.png,two\n"


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.replace(",", "\t").encode("utf-16"),  # what Excel calls Unicode text
    ],
)
def test_tables_as_programs_write_them(tmp_path, table):
    assert load(folder(tmp_path, table)).captions == ["one", "two"]


@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "7", "1e5", "True"])
def test_every_cell_of_a_csv_is_a_text(tmp_path, word):
    assert load(folder(tmp_path, f"file_name,caption\na.png,{word}\nb.png,two\n")).captions == [word, "two"]


def test_several_captions_are_all_kept(tmp_path):
    lines = [{"file_name": "a.png", "caption": ["one", "eins"]}, {"file_name": "b.png", "caption": "two"}]
    pictures = load(folder(tmp_path, "\n".join(map(json.dumps, lines)), "metadata.jsonl"))
    assert (pictures.captions, pictures.others) == (["one", "two"], [["eins"], []])


def test_captions_beside_pictures_and_labels_from_folders(tmp_path):
    for kind in ("cat", "red_car"):
        (tmp_path / "classes" / kind).mkdir(parents=True)
        (tmp_path / "classes" / kind / "1.png").write_bytes(png())
    assert load(tmp_path / "classes", caption_column="label").captions == ["cat", "red car"]
    beside = folder(tmp_path / "beside", "a red square\n", "a.txt", ["a.png", "b.png"])
    assert load(beside, caption_column="text").captions == ["a red square"]


def test_folders_named_train_and_test_are_splits(tmp_path):
    for split in ("train", "test"):
        folder(tmp_path / split, f"file_name,caption\na.png,{split}\n", pictures=["a.png"])
    assert load(tmp_path).captions == ["train"]
    assert load(tmp_path, split="test").captions == ["test"]
    with pytest.raises(UserError, match="choose one of test, train"):
        load(tmp_path, split="validation")


def test_a_split_column_with_empty_cells(tmp_path):
    table = "file_name,caption,split\na.png,one,train\nb.png,two,\n"
    assert load(folder(tmp_path, table)).captions == ["one"]
    with pytest.raises(UserError, match="choose one of train"):
        load(tmp_path, split="test")


def test_odd_names_nested_tables_and_what_systems_leave_lying_about(tmp_path):
    place = tmp_path / "my [best] pictures, #1"
    folder(place / "inner ü", "file_name,caption\nsub\\a.png,one\n", pictures=["sub/a.png"])
    for stray in (".DS_Store", "._a.png", "Thumbs.db"):
        (place / stray).write_bytes(b"stray")
    assert load(place).captions == ["one"]


def test_pictures_without_a_line_are_counted(tmp_path, capsys):
    load(folder(tmp_path, "file_name,caption\na.png,one\n", pictures=["a.png", "b.png", "c.png"]))
    assert "2 pictures have no line in the table" in capsys.readouterr().err


@pytest.mark.parametrize("stream", [False, True])
def test_a_column_of_numbers_is_no_column_of_pictures(tmp_path, stream):
    pq.write_table(pa.table({"image": [1, 2], "caption": ["a", "b"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet cannot be read"):
        read_table(str(tmp_path / "x.parquet"), "image", stream)


def test_parquet_with_bytes_and_a_folder_of_parquet_files(tmp_path):
    for number, word in enumerate(("one", "two")):
        image = {"bytes": png(), "path": None}
        pq.write_table(pa.table({"image": [image], "caption": [word]}), tmp_path / f"{number}.parquet")
    assert load(tmp_path).captions == ["one", "two"]
    assert load(tmp_path / "*.parquet").captions == ["one", "two"]


def shard(place, samples):
    with tarfile.open(place, "w") as tar:
        for key, data in samples:
            info = tarfile.TarInfo(key)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_a_shard_that_lacks_a_text_or_a_picture_far_down(tmp_path):
    samples = [(f"{n:03d}.{kind}", data) for n in range(12) for kind, data in (("png", png()), ("txt", b"one"))]
    shard(tmp_path / "0.tar", [one for one in samples if one[0] not in ("008.txt", "010.png")])
    options = {"image_column": "png", "caption_column": "txt"}
    with pytest.raises(UserError) as error:
        load(tmp_path, **options)
    said = str(error.value)
    assert "008" in said
    assert "010" in said
    assert "2 of 12 pictures cannot be used" in said
    assert len(load(tmp_path, **options, skip_bad=True)) == 10


def test_a_range_of_shards_is_every_one_of_them(tmp_path):
    options = {"image_column": "png", "caption_column": "txt"}
    for number, word in (("09", b"nine"), ("10", b"ten"), ("11", b"eleven")):
        shard(tmp_path / f"{number}.tar", [("0.png", png()), ("0.txt", word)])
    assert load(tmp_path / "{09..10}.tar", **options).captions == ["nine", "ten"]
    with pytest.raises(UserError, match=r"12\.tar is missing"):
        load(tmp_path / "{10..12}.tar", **options)


def test_enlarged_pictures_are_counted(tmp_path, capsys):
    folder(tmp_path, "file_name,caption\na.png,one\nb.png,two\n")
    load(tmp_path)
    assert not capsys.readouterr().err
    load_pictures(DataConfig(path=str(tmp_path), resolution=32))
    assert "2 of 2 pictures are smaller than 32 by 32 pixels" in capsys.readouterr().err


BAD = {
    "a blank caption": ("file_name,caption\na.png, \nb.png,two\n", "metadata.csv", "a.png has no caption"),
    "no caption": ('{"file_name": "a.png", "caption": null}\n', "metadata.jsonl", "a.png has no caption"),
    "no key": ('{"file_name": "a.png"}\n{"file_name": "b.png", "caption": "x"}\n', "metadata.jsonl", "has no caption"),
    "a number": ('{"file_name": "a.png", "caption": 5}\n', "metadata.jsonl", "is no text"),
    "a table": ('{"file_name": "a.png", "caption": {"en": "x"}}\n', "metadata.jsonl", "is no text"),
    "no file name": ('{"file_name": null, "caption": "x"}\n', "metadata.jsonl", "entry 1 of metadata.jsonl"),
    "no JSON": (
        '{"file_name": "a.png", "caption": "x"}\n{"file',
        "metadata.jsonl",
        "line 2 of metadata.jsonl is no JSON",
    ),
    "no object": ('["a.png", "x"]\n', "metadata.jsonl", "line 1 of metadata.jsonl is no object"),
    "no such file": ("file_name,caption\nz.png,one\n", "metadata.csv", "z.png is missing"),
    "no line": ("file_name,caption\n", "metadata.csv", "a header and no line"),
    "no column": ("name,caption\na.png,x\n", "metadata.csv", "no column file_name, only name, caption"),
    "latin-1": ("file_name,caption\na.png,Käse\n".encode("latin-1"), "metadata.csv", "metadata.csv is not in UTF-8"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_named(tmp_path, kind):
    table, name, said = BAD[kind]
    with pytest.raises(UserError, match=said) as error:
        load(folder(tmp_path, table, name))
    assert "Traceback" not in str(error.value)


def test_all_that_is_wrong_is_said_at_once_and_may_be_left_out(tmp_path, capsys):
    lines = ["file_name,caption", "good.png,good", *(f"{n}.png,{n}" for n in range(15))]
    folder(tmp_path, "\n".join(lines), pictures=["good.png"])
    (tmp_path / "3.png").write_bytes(b"<html>")
    with pytest.raises(UserError) as error:
        load(tmp_path)
    said = str(error.value).splitlines()
    assert "3.png cannot be read as a picture" in str(error.value)
    assert said[-2:] == [
        "... and 5 more.",
        "15 of 16 pictures cannot be used: fix them, or leave them out with --data.skip-bad.",
    ]
    assert load(tmp_path, skip_bad=True).captions == ["good"]
    assert "15 of 16 pictures are left out." in capsys.readouterr().err
