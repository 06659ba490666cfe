"""`kill -9` of the server at random moments while raters vote: no acknowledged vote lost or doubled, no repair.

python -m benchmarks.study_kills
"""

import random
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.study_load import Server, check, make_store, vote_at_once

KILLS, RATERS, PROMPTS = 100, 20, 60


def run(kills: int, raters: int, prompts: int, folder: Path) -> tuple[int, int]:
    """Answers stored, and kills that happened before the last rater was through. Raises where a vote was lost."""
    store, study = make_store(folder, raters, prompts)
    server = Server(folder / "data")
    rng, done, killed = random.Random(0), threading.Event(), 0

    def kill() -> None:
        nonlocal killed
        for _ in range(kills):
            if done.wait(rng.uniform(0.05, 1)):  # random moments are what is tested
                return
            server.kill()
            server.start()
            killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        voters = vote_at_once(lambda: server.port, study, raters)
    finally:
        done.set()
        killer.join()
        server.kill()
    return check(store, study, voters, folder / "export"), killed


def main() -> None:
    total, answers, started = 0, 0, time.perf_counter()
    while total < KILLS:
        with tempfile.TemporaryDirectory() as temporary:
            stored, killed = run(KILLS - total, RATERS, PROMPTS, Path(temporary))
        total, answers = total + killed, answers + stored
        print(f"{total} kills, {answers} answers acknowledged and stored once, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
