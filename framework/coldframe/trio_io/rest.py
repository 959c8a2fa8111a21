"""REST: calls made as the engine says, stamped and signed when they are sent, a few at a time.

A proxy in the environment is ignored: signed requests go where the configuration says and nowhere else (faults.md X15).
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final

import httpx2
import trio

from coldframe.core.connectivity.signing import Signer, query, sign_query
from coldframe.errors import LinkRefused
from coldframe.model.effects import CallRest
from coldframe.model.inputs import Lane, RestAnswered
from coldframe.trio_io.body import ACCEPT, LONGEST_ANSWER, Body
from coldframe.trio_io.error_text import reason_of
from coldframe.trio_io.inbox import Inbox
from coldframe.units import NS_PER_MS
from coldframe.wire.api import Security
from coldframe.wire.rest import API_KEY_HEADER, ENDPOINTS, Answer

#: How long the peer may be silent, and how long a call may take as a whole: an answer that drips must not hold a place for ever.
TIMEOUT_S: Final = 10.0
CALL_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 8

# The library logs the whole URL of every call, and with it signatures.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class RestClient:
    """Calls to one venue. Use as an asynchronous context manager: it owns the connections."""

    def __init__(
        self,
        base: str,
        tls: ssl.SSLContext,
        now_ns: Callable[[], int],
        signer: Signer | None,
        recv_window_ms: int,
        *,
        timeout_s: float = TIMEOUT_S,
        call_timeout_s: float = CALL_TIMEOUT_S,
        longest_answer: int = LONGEST_ANSWER,
    ) -> None:
        self._base = base
        self._call_timeout_s = call_timeout_s
        self._longest_answer = longest_answer
        self._now_ns = now_ns
        self._signer = signer
        self.recv_window_ms = recv_window_ms
        self._limit = trio.CapacityLimiter(_AT_ONCE)
        self._http = httpx2.AsyncClient(verify=tls, timeout=timeout_s, trust_env=False)
        self.offset_ms = 0
        #: Until when (our time) we are banned and send nothing.
        self.silent_until_ms = 0
        #: Told of every depth snapshot that came: symbol and body.
        self.snapshot_taps: list[Callable[[str, bytes], None]] = []

    async def __aenter__(self) -> RestClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            await self._http.aclose()

    async def perform(self, effect: CallRest, inbox: Inbox) -> None:
        """Makes one call of the engine's and reports what came of it, whatever it is."""
        async with self._limit:
            sent_ns = self._now_ns()
            try:
                answer = await self.ask(effect.verb, effect.path, effect.params)
            except LinkRefused as error:
                inbox.put(Lane.CONTROL, RestAnswered(effect.call_id, None, sent_ns, str(error)))
                return
        if effect.path == "/fapi/v1/depth" and answer.status == 200:
            for tap in self.snapshot_taps:
                tap(str(effect.params["symbol"]), answer.body)
        inbox.put(Lane.CONTROL, RestAnswered(effect.call_id, answer, sent_ns))

    async def ask(self, verb: str, path: str, params: Mapping[str, str | int]) -> Answer:
        """One call. Raises `LinkRefused` when no answer came, whatever the reason, or none was asked for because we are banned."""
        if self._now_ns() < self.silent_until_ms * NS_PER_MS:
            raise LinkRefused(f"{self._base}: banned by the venue, nothing was sent")
        url, headers = self._request(verb, path, params)
        try:
            with trio.fail_after(self._call_timeout_s):
                return await self._answered(verb, url, headers)
        except (httpx2.HTTPError, trio.TooSlowError) as error:
            raise LinkRefused(f"{self._base}: {reason_of(error)}") from None
        except LinkRefused as error:
            raise LinkRefused(f"{self._base}: {error}") from None

    async def _answered(self, verb: str, url: str, headers: Mapping[str, str]) -> Answer:
        async with self._http.stream(verb, url, headers={**ACCEPT, **headers}) as response:
            said = {name.lower(): value for name, value in response.headers.items()}
            body = Body(said.get("content-encoding", ""), self._longest_answer)
            async with aclosing(response.aiter_raw()) as parts:
                async for part in parts:
                    body.append(part)
            return Answer(response.status_code, said, body.whole())

    def _request(self, verb: str, path: str, params: Mapping[str, str | int]) -> tuple[str, dict[str, str]]:
        security = ENDPOINTS[verb, path].security
        signer = self._signer
        if security is Security.NONE or signer is None:
            text = query(params)
            return f"{self._base}{path}{'?' if text else ''}{text}", {}
        headers = {API_KEY_HEADER: signer.api_key.reveal()}
        if security is Security.KEY:
            text = query(params)
        else:
            text = sign_query(params, signer, self._now_ns() // 1_000_000 + self.offset_ms, self.recv_window_ms)
        return f"{self._base}{path}{'?' if text else ''}{text}", headers
