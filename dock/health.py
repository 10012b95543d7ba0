"""`/health`, `/metrics` and `/cameras`, for those on this computer: nobody is asked who they are, nothing can be done.

Guarantees: 200 of `/health` means that the station has ticked within STALE_S and that the broker answers; else 503,
which says what is missing. `/cameras` reads the catalogue beside the station, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from agent.toml_table import Address
from dock.catalogue import CatalogueError
from dock.metrics import Metrics

STALE_S = 10
ROUTES = ("/health", "/metrics", "/cameras")


class Health:
    """Listens from `start` to `stop`. `connected`: whether the broker answers. `cameras` is called in other threads."""

    def __init__(self, metrics: Metrics, cameras: Callable[[], Mapping[str, object]]) -> None:
        self.connected = False
        self._cameras = cameras
        self._metrics = metrics
        self._ticked: float | None = None
        self._runner: web.AppRunner | None = None

    def alive(self) -> None:
        """The station has ticked."""
        self._ticked = time.monotonic()

    async def start(self, listen: Address) -> int:
        """Returns the port. Raises OSError."""
        application = web.Application()
        application.router.add_get(ROUTES[0], self._health)
        application.router.add_get(ROUTES[1], self._text)
        application.router.add_get(ROUTES[2], self._found)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, listen.host, listen.port).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        station = self._ticked is not None and time.monotonic() - self._ticked < STALE_S
        healthy = station and self.connected
        found = {"broker": self.connected, "station": station, "status": "ok" if healthy else "failing"}
        return web.json_response(found, status=200 if healthy else 503)

    async def _text(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _found(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await asyncio.to_thread(self._cameras))
        except CatalogueError as error:
            return web.json_response({"problem": error.problem}, status=503)
