"""The embedded exchange: it speaks the venue's own protocol over a loopback socket and knows nothing of the bot."""

from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.mirror import Mirror
from coldframe.exchange_server.server import Address, EmbeddedVenue

__all__ = ["AccountKeys", "Address", "EmbeddedVenue", "Mirror"]
