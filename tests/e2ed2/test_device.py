"""Where models run: `--device`, $E2ED2_DEVICE, or the best there is, whatever the command."""

from datetime import timedelta
from types import SimpleNamespace

import accelerate
import pytest
import torch

from e2ed2.device import pick_device, take_device
from e2ed2.errors import UserError
from e2ed2.inference.sampling import load
from e2ed2.training import describe
from e2ed2.training.config import TrainerConfig
from e2ed2.training.precision import accelerator_for


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    for name in ("E2ED2_DEVICE", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has them; nothing can run there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_the_device_is_the_one_asked_for_or_the_best_there_is(monkeypatch, tiny_model, two_gpus):
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type == "cuda"
    assert pick_device("cuda:1").index == 1
    with pytest.raises(UserError, match="no device 'cuda:2'"):
        pick_device("cuda:2")
    monkeypatch.setenv("E2ED2_DEVICE", "cpu")
    assert pick_device().type == "cpu"
    assert pick_device("cuda").type == "cuda"
    assert load(str(tiny_model)).device.type == "cpu"
    with pytest.raises(UserError, match="There is no device 'gpu'"):
        pick_device("gpu")
    assert pick_device("cpu:0").type == "cpu"
    with pytest.raises(UserError, match="no device 'cpu:1'"):
        pick_device("cpu:1")


COMMANDS = {
    "train": ("train", "l2", "--out", "{out}"),
    "dry run": ("train", "l2", "--dry-run"),
    "sample": ("sample", "--prompt", "cat", "--model", "{model}", "--out", "{out}"),
    "inspect": ("inspect", "{model}"),
    "evaluate": ("evaluate", "{model}", "--captions", 4, "--out", "{out}/one.json"),
    "data cache": ("data", "cache", "{data}", "--codec-from", "{model}", "--out", "{out}"),
    "data pairs": ("data", "pairs", "{data}", "--backbone", "tiny:sd", "--out", "{out}"),
}


@pytest.mark.parametrize("by", ["option", "environment"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_one_sentence(command, by, called, monkeypatch, tiny_model, few, tmp_path):
    places = {"out": tmp_path / "out", "model": tiny_model, "data": few}
    words = [str(word).format(**places) for word in COMMANDS[command]]
    if by == "environment":
        monkeypatch.setenv("E2ED2_DEVICE", "cuda:99")
    said = called(*words, *(("--device", "cuda:99") if by == "option" else ()), code=2).err
    assert "This machine has no device 'cuda:99' that PyTorch can use: choose another, such as cpu." in said
    assert not (tmp_path / "out").exists()


def test_a_training_is_on_the_named_device_in_its_precision(monkeypatch, two_gpus):
    """Where a GPU could have bf16 and the CPU multiplies none, a training on the CPU is in float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {})
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: True)
    accelerator = accelerator_for(TrainerConfig(), "cpu")
    assert (accelerator.device.type, accelerator.mixed_precision) == ("cpu", "no")


def test_one_process_takes_the_gpu_that_is_named(monkeypatch, two_gpus):
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert take_device("cuda:1") == torch.device("cuda:1")
    assert taken == [torch.device("cuda:1")]
    assert accelerate.PartialState().device == torch.device("cuda:1")


def test_processes_take_a_gpu_each_and_share_none(monkeypatch, two_gpus):
    second = SimpleNamespace(num_processes=2, device=torch.device("cuda:1"))
    monkeypatch.setattr(accelerate, "PartialState", lambda cpu: second)
    assert take_device() == take_device("cuda") == torch.device("cuda:1")
    with pytest.raises(UserError, match="2 processes cannot share cuda:0: name cuda, and each takes its own"):
        take_device("cuda:0")


def test_processes_wait_for_each_other_as_long_as_they_are_told(monkeypatch):
    told = []
    one = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
    monkeypatch.setattr(accelerate, "PartialState", lambda **options: told.append(options) or one)
    take_device("cpu")
    take_device("cpu", timedelta(hours=2))
    assert told == [{"cpu": True}, {"cpu": True, "timeout": timedelta(hours=2)}]


def test_a_launch_on_the_cpu_is_one_unless_a_gpu_is_asked_for(monkeypatch, two_gpus):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert take_device().type == "cpu"
    with pytest.raises(UserError, match="launch without --cpu, or leave cuda out"):
        take_device("cuda")


def test_a_models_work_is_the_same_wherever_it_is_counted(monkeypatch, tiny_model):
    """`meta` stands for any device that is not the CPU: what lies on the CPU cannot meet what does not."""
    here = describe.describe_model(str(tiny_model))
    model = load(str(tiny_model)).to(torch.device("meta"))
    monkeypatch.setattr(describe, "load", lambda name, device: model)
    assert describe.describe_model(str(tiny_model), "meta") == here
