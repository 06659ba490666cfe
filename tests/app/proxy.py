"""A typical proxy: it serves a server under a path of its own, which it strips from what it passes on."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "content-encoding"}
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD"]


@contextmanager
def proxied(target: str, path: str) -> Iterator[str]:
    """The address at which `target` is seen under `path`."""
    client = httpx.AsyncClient(base_url=target, timeout=300)

    async def passed_on(request: Request) -> StreamingResponse:
        given = {
            name: value for name, value in request.headers.items() if name not in HOP | {"host", "accept-encoding"}
        }
        given |= {"x-forwarded-host": request.headers["host"], "x-forwarded-proto": "http"}
        inner = request.url.path.removeprefix(path) or "/"
        url = f"{inner}?{request.url.query}" if request.url.query else inner
        asked = client.build_request(request.method, url, headers=given, content=await request.body())
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            except (httpx.HTTPError, asyncio.CancelledError):
                pass
            finally:
                await answer.aclose()

        sent = [(name, value) for name, value in answer.headers.multi_items() if name not in HOP - {"content-encoding"}]
        response = StreamingResponse(body(), answer.status_code)
        response.raw_headers = [(name.encode(), value.encode()) for name, value in sent]
        return response

    app = Starlette(routes=[Route(f"{path}{{rest:path}}", passed_on, methods=METHODS)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    server.should_exit = True
    thread.join()
