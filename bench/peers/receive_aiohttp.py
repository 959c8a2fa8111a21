"""aiohttp and json."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from measuring import Given, Listening


async def main() -> None:
    given = Given()
    listening = Listening(given)
    async with aiohttp.ClientSession() as session, session.ws_connect(given.url, ssl=given.tls or True) as socket:
        async for message in socket:
            listening.take(json.loads(message.data)["data"])


if __name__ == "__main__":
    asyncio.run(main())
