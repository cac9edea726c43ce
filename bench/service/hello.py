"""The least that the same framework and server can do: one route that answers a constant."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI

from bench.service.system import ROOT
from tests.service.servers import free_port  # type: ignore[import-untyped]  # not type-checked

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """The constant."""
    return {"hello": "world"}


@contextmanager
def hello_world() -> Iterator[str]:
    """Its address while it is served by one process."""
    port = free_port()
    words = ["-m", "uvicorn", "bench.service.hello:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([sys.executable, *words, "--no-access-log"], cwd=ROOT)
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(url, timeout=5, trust_env=False)
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)
