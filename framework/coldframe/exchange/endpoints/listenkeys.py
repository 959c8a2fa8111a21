"""Listen keys: one per account, extended by use, deleted for all users at once (protocol.md 8.1)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from coldframe.exchange.refusals import refuse
from coldframe.wire.requests import Fault


@attrs.define(eq=False)
class _ListenKey:
    key: str
    account: str
    until_ms: int


class ListenKeys:
    """The listen keys of all accounts; `token` makes a new one."""

    def __init__(self, lifetime_ms: int, token: Callable[[], str]) -> None:
        self._lifetime_ms = lifetime_ms
        self._token = token
        self._by_account: dict[str, _ListenKey] = {}
        self._by_key: dict[str, _ListenKey] = {}

    def start(self, account: str, now_ms: int) -> str:
        """The account's key, a new one if it has none; it lives from now on for the whole lifetime."""
        held = self._by_account.get(account)
        if held is None:
            held = _ListenKey(self._token(), account, 0)
            self._by_account[account] = self._by_key[held.key] = held
        held.until_ms = now_ms + self._lifetime_ms
        return held.key

    def extend(self, account: str, now_ms: int) -> str | Fault:
        """Keeps the account's key alive."""
        return self.start(account, now_ms) if account in self._by_account else refuse(-1125)

    def stop(self, account: str) -> str | Fault:
        """Deletes the account's key, for every connection that uses it. Gives the deleted key."""
        held = self._by_account.pop(account, None)
        if held is None:
            return refuse(-1125)
        del self._by_key[held.key]
        return held.key

    def key_of(self, account: str) -> str | None:
        """The key under which events of an account go out now."""
        held = self._by_account.get(account)
        return held.key if held else None

    def end_all(self) -> list[tuple[str, str]]:
        """Ends all keys. Gives account and key of each."""
        ended = [(held.account, held.key) for held in self._by_key.values()]
        for account, _ in ended:
            self.stop(account)
        return ended

    def expire(self, now_ms: int) -> list[tuple[str, str]]:
        """Ends the keys whose time is over. Gives account and key of each."""
        ended = [held for held in self._by_key.values() if held.until_ms <= now_ms]
        for held in ended:
            self.stop(held.account)
        return [(held.account, held.key) for held in ended]
