"""A name that may be a folder or an id on a hub is looked for once, in a moment."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError, RepositoryNotFoundError

from e2ed2.data.sources import read_table
from e2ed2.errors import UserError
from e2ed2.models import hub
from e2ed2.models.hub import check_repository, network_place


def answering(monkeypatch, error):
    def ask(api, name, **options):
        raise error

    monkeypatch.setattr(HfApi, "repo_info", ask)


def test_a_hub_without_a_network_is_given_up_at_once(monkeypatch):
    def no_network(*given, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(OSError, match="the hub cannot be reached from here"):
        check_repository("no/network")


@pytest.mark.parametrize("error", [HTTPError("no answer in time"), ConnectionError("offline mode")])
def test_a_hub_that_does_not_answer_is_said_to(monkeypatch, error):
    answering(monkeypatch, error)
    with pytest.raises(UserError, match=r"There is no network 'some/one' \(the hub cannot be reached from here\)"):
        network_place("some/one", "network")


def test_what_the_hub_has_not_and_a_hub_that_is_busy_are_told_apart(monkeypatch):
    said: Any = SimpleNamespace(headers={}, request=None)
    answering(monkeypatch, RepositoryNotFoundError("none", response=said))
    with pytest.raises(UserError, match="the hub has none of that name"):
        network_place("some/one", "network")
    answering(monkeypatch, HfHubHTTPError("busy", response=said))
    assert network_place("some/one", "network") == "some/one"  # the library that loads it asks again


def test_what_is_kept_of_a_repository_is_read_where_no_hub_answers(monkeypatch, unreached):
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, file: f"/kept/{name}/{file}")
    assert network_place("some/one", "network") == "/kept/some/one"
    monkeypatch.setattr(HfApi, "repo_info", lambda api, name, **options: None)
    assert network_place("some/one", "network") == "some/one"  # as new as it is there


def test_a_folder_is_asked_of_no_hub(unreached, tmp_path):
    assert network_place(str(tmp_path), "network") == str(tmp_path)
    assert unreached == []


def test_what_is_no_id_is_no_folder(unreached, tmp_path):
    with pytest.raises(UserError, match=r"There is no network .*none' \(no such folder\): give its folder"):
        network_place(str(tmp_path / "none"), "network")
    assert unreached == []


def test_a_data_set_that_is_kept_is_not_asked_for(unreached, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"hf:some/set cannot be read \(the hub cannot be reached from here\)"):
        read_table("hf:some/set", "image")
    assert unreached == ["dataset"]
    kept = tmp_path / "cache" / "datasets" / "some___set"
    kept.mkdir(parents=True)
    monkeypatch.setattr("datasets.load_dataset", lambda name, cache_dir: pytest.fail(str(Path(cache_dir) / name)))
    with pytest.raises(pytest.fail.Exception, match="some/set"):
        read_table("hf:some/set", "image")
    assert unreached == ["dataset"]
