"""How soon after `python app.py` its address is printed, a page comes, and the first picture is there.

python -m benchmarks.first_picture [--starts 3] [--site FOLDER]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import tyro

ASKED = ["red apple", "lpips", 4, 7, False, 1, True, "flat", False, ""]  # what the Generate page opens with
LIMIT = 300  # s


@dataclass(frozen=True)
class Start:
    """Starts of the pages, the first with an empty data folder, the others with what that left, as at home."""

    starts: int = 4
    site: Path = Path(__file__).parents[1]  # a checkout


def main() -> None:
    options = tyro.cli(Start)
    with tempfile.TemporaryDirectory() as data:
        for number in range(options.starts):
            address, page, picture, processor = start(options.site, data)
            kind = "first ever" if number == 0 else "again"
            print(f"{kind}: address {address:.1f} s, page {page:.1f} s, first picture {picture:.1f} s, ", end="")
            print(f"{processor:.1f} s of the processor", flush=True)


def start(site: Path, data: str) -> tuple[float, float, float, float]:
    """Seconds until the address is printed, a page comes and a picture is there; and CPU seconds by then."""
    begun = time.perf_counter()
    environment = os.environ | {"PORT": "0", "E2ED2_DATA": data, "PYTHONPATH": str(site)}
    server = subprocess.Popen([sys.executable, "app.py"], cwd=site, env=environment, text=True, stdout=subprocess.PIPE)
    try:
        assert server.stdout
        url = server.stdout.readline().split()[-1]
        address = time.perf_counter() - begun
        with httpx.Client(base_url=url, timeout=LIMIT) as visitor:
            visitor.get("/").raise_for_status()
            page = time.perf_counter() - begun
            event = visitor.post("/gradio_api/call/generate", json={"data": ASKED}).json()["event_id"]
            answer = visitor.get(f"/gradio_api/call/generate/{event}").text
            picture = time.perf_counter() - begun
        assert "event: complete" in answer, answer
        assert json.loads(answer.rpartition("data: ")[2])[0], "no picture"
        times = psutil.Process(server.pid).cpu_times()
        return address, page, picture, times.user + times.system
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)


if __name__ == "__main__":
    main()
