"""The bell that rings through Redis, for several machines. Owns every word this package says to Redis."""

from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.database.bells import CHANNEL, PROBE_SECONDS, Ring, listen_for_ever
from inference.ir.errors import Unavailable

_log = structlog.stdlib.get_logger("changes")


class RedisBell:
    """Publish and subscribe on one channel."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ping(self) -> None:
        """Returns when Redis answers. Raises Unavailable."""
        try:
            async with self._client() as client:
                await client.ping()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis is away: {type(error).__name__}") from error

    async def listen(self, ring: Ring) -> None:
        await listen_for_ever(self._listen_once, ring, "redis")

    async def strike(self) -> None:
        try:
            async with self._client() as client:
                await client.publish(CHANNEL, b"")
        except (RedisError, OSError) as error:
            _log.warning("change not published", via="redis", error=type(error).__name__)

    async def _listen_once(self, ring: Ring) -> None:
        try:
            async with self._client() as client, client.pubsub() as subscription:
                await subscription.subscribe(CHANNEL)
                while True:
                    message = await subscription.get_message(timeout=PROBE_SECONDS)
                    if message is None:
                        await subscription.ping()
                    elif message["type"] in {"message", "subscribe"}:
                        ring()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis is away: {type(error).__name__}") from error

    def _client(self) -> Any:
        # redis-py types its keyword arguments only in part; nothing of it leaves this class.
        client = cast("Any", Redis)
        return client.from_url(self._url, socket_connect_timeout=2.0, socket_timeout=2 * PROBE_SECONDS)
