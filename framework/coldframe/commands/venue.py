"""`coldframe venue`: the embedded exchange alone, for any client that speaks its protocol."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from coldframe.config.load import Loaded
from coldframe.errors import ConfigError
from coldframe.exchange_server import Address, EmbeddedVenue
from coldframe.model.effects import Level
from coldframe.os_specific import ending_signals
from coldframe.runtime.venuecontrol import controlled
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.paths import state_home

LogLine = Callable[[int, Level, str], None]
Out = Callable[[object, Sequence[str]], None]


async def serve(loaded: Loaded, log: LogLine, out: Out) -> None:
    """Serves until a signal comes. The first thing on stdout says where it listens and which keys it knows."""
    if loaded.findings:
        raise ConfigError(*loaded.findings)
    clock = Clock()
    settings = loaded.config.venue.embedded
    with tempfile.TemporaryDirectory(prefix="coldframe-keys-") as spare:
        if settings.keys_dir is None:
            settings = attrs.evolve(settings, keys_dir=str(_keys_folder(Path(spare))))
        if settings.unrouted is None:  # older clients know no routes, and this venue is there for any client
            settings = attrs.evolve(settings, unrouted="all")

        def notice(text: str) -> None:
            log(clock.now_ns(), Level.WARNING, text)

        venue = EmbeddedVenue(settings, wall_ms=clock.now_ms, notice=notice)
        # Before it says that it is ready: from then on its parent may end it.
        with trio.open_signal_receiver(*ending_signals()) as signals:
            async with trio.open_nursery() as nursery:
                address: Address = await nursery.start(venue.serve)
                async with controlled(address.port, venue.change, notice):
                    out(_document(address), _lines(address))
                    if venue.recording_note:
                        log(clock.now_ns(), Level.WARNING, venue.recording_note)
                    number = await anext(signals)
                log(clock.now_ns(), Level.INFO, f"{signal.Signals(number).name}: the venue closes")
                nursery.cancel_scope.cancel()


def _keys_folder(spare: Path) -> Path:
    """Where keys live when nothing else is said: with the user's state, so that a restarted venue knows them again."""
    folder = state_home() / "venue-keys"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return spare
    return folder if os.access(folder, os.W_OK) else spare


def _document(address: Address) -> dict[str, Any]:
    first = address.accounts[0]
    return {
        "schema_version": 1,
        "verb": "venue",
        "rest": address.rest,
        "streams": address.streams,
        "api": address.api,
        "keys": {
            "hmac": {"api_key": first.hmac_api_key, "secret": first.hmac_secret},
            "ed25519": {"api_key": first.ed25519_api_key, "private_key_file": first.ed25519_private_key_file},
        },
        "accounts": {
            account.account: {
                "hmac": {"api_key": account.hmac_api_key, "secret": account.hmac_secret},
                "ed25519": {"api_key": account.ed25519_api_key, "private_key_file": account.ed25519_private_key_file},
            }
            for account in address.accounts
        },
    }


def _lines(address: Address) -> list[str]:
    lines = [f"REST           {address.rest}", f"streams        {address.streams}", f"WebSocket API  {address.api}"]
    for account in address.accounts:
        lines += [
            f"account {account.account}",
            f"  HMAC     key {account.hmac_api_key}",
            f"           secret {account.hmac_secret}",
            f"  Ed25519  key {account.ed25519_api_key}",
            f"           private key in {account.ed25519_private_key_file}",
        ]
    return lines
