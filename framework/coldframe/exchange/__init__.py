"""The embedded exchange without its sockets: matching, accounts, market data and endpoints."""
