"""Waiting for visitors, wherever the command is called from."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(visits: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, but also within a running event loop, such as a notebook's: then from a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(visits)
    with ThreadPoolExecutor(1) as pool:
        ended: T = pool.submit(lambda: asyncio.run(visits)).result()
    return ended
