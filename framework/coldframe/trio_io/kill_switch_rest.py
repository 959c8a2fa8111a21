"""The kill switch's own line to the venue: plain blocking REST calls with a signer of their own, on no thread but the kill
switch's.

It counts what it spends, obeys a ban to the millisecond, and repeats nothing by itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

import httpx2

from coldframe.core.connectivity.signing import Signer, sign_query
from coldframe.errors import LinkRefused
from coldframe.model.inputs import WeightSpent
from coldframe.trio_io.body import ACCEPT, LONGEST_ANSWER, Body
from coldframe.trio_io.clock import ThreadClock, monotonic_s
from coldframe.trio_io.error_text import reason_of
from coldframe.wire.rest import API_KEY_HEADER, ENDPOINTS, Answer, ban_end_ms
from coldframe.wire.weights import Pool

#: A kill switch that waited longer than this for an answer would be none; the second figure is for an answer that drips.
TIMEOUT_S: Final = 2.0
CALL_TIMEOUT_S: Final = 4.0


class KillSwitchRest:
    """Signed calls to one venue, from several threads at once if need be. `banned_until_ms` is what the engine knows of a ban."""

    def __init__(
        self,
        base: str,
        tls: ssl.SSLContext,
        signer: Signer,
        recv_window_ms: int,
        clock: ThreadClock,
        offset_ms: Callable[[], int],
        banned_until_ms: Callable[[], int],
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        longest_answer: int = LONGEST_ANSWER,
    ) -> None:
        self._base = base
        self._call_timeout_s = call_timeout_s
        self._longest_answer = longest_answer
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._clock = clock
        self._offset_ms = offset_ms
        self._engine_banned_ms = banned_until_ms
        self._lock = Lock()
        self._banned_until_ms = 0
        self._weight = 0
        self._counted: int | None = None
        self._http = httpx2.Client(verify=tls, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._http.close()

    @property
    def venue_ms(self) -> int:
        """The venue's time now."""
        return self._clock.now_ms() + self._offset_ms()

    def call(self, verb: str, path: str, params: Mapping[str, str | int]) -> Answer:
        """One signed call. Raises `LinkRefused` when no answer came or none may be asked for."""
        now_ms = self.venue_ms
        banned_ms = max(self._banned_until_ms, self._engine_banned_ms()) - now_ms
        if banned_ms > 0:
            raise LinkRefused(f"banned by the venue (418/429) for another {banned_ms / 1000:.1f} s")
        text = sign_query(params, self._signer, now_ms, self._recv_window_ms)
        self._spend(verb, path, params)
        try:
            answer = self._answered(verb, f"{self._base}{path}?{text}")
        except httpx2.HTTPError as error:
            raise LinkRefused(f"{self._base}: {reason_of(error)}") from None
        except LinkRefused as error:
            raise LinkRefused(f"{self._base}: {error}") from None
        self._heed(answer)
        return answer

    def _answered(self, verb: str, url: str) -> Answer:
        began_s = monotonic_s()
        with self._http.stream(verb, url, headers={**ACCEPT, API_KEY_HEADER: self._signer.api_key.reveal()}) as response:
            said = {name.lower(): value for name, value in response.headers.items()}
            body = Body(said.get("content-encoding", ""), self._longest_answer)
            for part in response.iter_raw():
                body.append(part)
                if monotonic_s() - began_s > self._call_timeout_s:
                    raise LinkRefused("no whole answer in time")
            return Answer(response.status_code, said, body.whole())

    def used(self) -> WeightSpent:
        """What was spent since the last time, for the engine's rate limits."""
        with self._lock:
            weight, self._weight = self._weight, 0
            counted, self._counted = self._counted, None
            return WeightSpent(weight, counted, self._banned_until_ms or None)

    def _spend(self, verb: str, path: str, params: Mapping[str, str | int]) -> None:
        cost = ENDPOINTS[verb, path].cost
        if cost.pool is Pool.WEIGHT:
            weight = cost.weight({name: str(value) for name, value in params.items()})
            with self._lock:
                self._weight += weight

    def _heed(self, answer: Answer) -> None:
        until_ms = ban_end_ms(answer, self.venue_ms)
        with self._lock:
            if answer.used_weight_1m is not None:
                # Answers overtake each other: the highest count is the newest.
                self._counted = max(self._counted or 0, answer.used_weight_1m)
            if until_ms is not None:
                self._banned_until_ms = max(self._banned_until_ms, until_ms)
