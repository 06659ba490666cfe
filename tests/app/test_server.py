"""What holds for all pages alike, tested by requests alone: names, icons, proxies, and a server that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from app.settings import ServerSettings, own_cache
from e2ed2.assets import VISITOR_PROMPTS
from e2ed2.errors import UserError
from tests.app.conftest import SECRET
from tests.app.proxy import proxied

ROOT = "/sub/studio"
PROXY = {"x-forwarded-host": "example.org", "x-forwarded-proto": "https"}


@pytest.fixture(scope="module")
def behind(serve_app, checkpoints) -> str:
    """The server as a proxy sees it, which strips its own path."""
    return serve_app(checkpoints, SECRET, ROOT)


def test_behind_a_proxy_every_page_knows_its_address(behind):
    config = httpx.get(f"{behind}/config", headers=PROXY).json()
    assert config["root"] == f"https://example.org{ROOT}"
    for path in ("", "compare", "results"):
        page = httpx.get(f"{behind}/{path}", headers=PROXY)
        assert page.status_code == 200
        assert f"https://example.org{ROOT}" in page.text
    assert httpx.get(f"{behind}/study", headers=PROXY).headers["location"] == "study/"


def test_behind_a_proxy_the_organiser_gets_in(behind):
    with httpx.Client(base_url=behind, headers=PROXY) as client:
        assert "Secret" in client.get("/admin/login").text
        assert client.get("/admin/export/x/1").headers["location"] == f"{ROOT}/admin/login"
        client.post("/admin/login", data={"secret": SECRET})
        client.cookies = {name: value for name, value in client.cookies.items()}  # also over http
        assert client.get("/admin/config").json()["root"] == f"https://example.org{ROOT}/admin"


@pytest.mark.slow
def test_behind_a_proxy_every_link_of_a_page_leads_on(behind, open_page):
    with proxied(behind, ROOT) as url:
        visit = open_page(f"{url}/healthz")
        page, lost = visit.page, []
        page.on("response", lambda answer: lost.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"{url}/?prompt=cat&model=l2&steps=2&seed=7")
        expect(page.locator("#status")).to_contain_text("1 picture in")
        expect(page.locator("#pictures img").first).to_have_js_property("naturalWidth", 128)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download", exact=True).click()
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
        page.get_by_role("link", name="See its steps").click()
        expect(page.locator("#trajectory img").last).to_have_js_property("naturalWidth", 128)
        page.get_by_role("link", name="Compare", exact=True).click()
        expect(page.locator("#slider img").last).to_have_js_property("naturalWidth", 128)
        expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
        page.get_by_role("button", name="Vote on this pair").click()
        expect(page.get_by_role("heading", name="butterfly")).to_be_visible()
        assert page.url.startswith(f"{url}/study/r/")
        assert (lost, visit.outside) == ([], [])


def test_the_product_has_a_name_and_an_icon(url):
    page = httpx.get(url).text
    assert 'property="og:title" content="E2ED² Studio: pictures in one to four steps"' in page
    assert "<svg" in httpx.get(f"{url}/favicon.ico").text


@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused_while_it_comes(url):
    large = {"files": ("pictures.zip", bytes(51 * 2**20))}
    assert httpx.post(f"{url}/gradio_api/upload", files=large, timeout=60).status_code == 413


def test_no_file_of_the_machine_is_had_by_saying_that_it_was_uploaded(url):
    events = httpx.get(f"{url}/config").json()["dependencies"]
    uploads = [one["id"] for one in events if one["inputs"] and any(name == "upload" for _, name in one["targets"])]
    forged = {"path": str(VISITOR_PROMPTS), "meta": {"_type": "gradio.FileData"}}
    for number in uploads:  # what takes files may give back what it was given
        for data, session in ((forged, f"one{number}"), ([forged], f"list{number}")):
            asked = {"data": [data], "fn_index": number, "session_hash": session}
            httpx.post(f"{url}/gradio_api/queue/join", json=asked, headers={"x-gradio-user": "app"})
            with httpx.stream("GET", f"{url}/gradio_api/queue/data?session_hash={session}") as lines:
                said = next(line for line in lines.iter_lines() if "process_completed" in line)
            assert "it was not uploaded by a user" in said
    assert len(uploads) >= 2


def test_a_root_path_that_is_none_is_said():
    with pytest.raises(UserError, match="GRADIO_ROOT_PATH"):
        ServerSettings(root_path="sub studio")


def test_each_server_has_a_folder_of_its_own_for_pictures(monkeypatch):
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    own_cache()
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_dir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", "/where/the/person/wants")
    own_cache()
    assert os.environ["GRADIO_TEMP_DIR"] == "/where/the/person/wants"


ENDING = """
import asyncio, socket, threading, uvicorn
from app.server import Server
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    print("open", flush=True)
    await asyncio.sleep(60)
listener = socket.create_server(("127.0.0.1", 0))
address = f"http://127.0.0.1:{listener.getsockname()[1]}"
def visit():
    import httpx
    with httpx.stream("GET", address, timeout=60) as answer:
        try: answer.read()
        except httpx.HTTPError: pass
threading.Thread(target=visit, daemon=True).start()
try: Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")).run([listener])
except KeyboardInterrupt: pass
"""


@pytest.mark.slow
def test_a_server_ends_quietly_while_a_page_is_open():
    process = subprocess.Popen([sys.executable, "-c", ENDING], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("", "")
