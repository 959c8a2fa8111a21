"""What belongs to every call of the WebSocket API (`seeds/004`)."""

from typing import Final

#: Who asks, when, and whether limits are wanted in the answer.
COMMON_PARAMETERS: Final = frozenset({"apiKey", "signature", "timestamp", "recvWindow", "returnRateLimits"})
