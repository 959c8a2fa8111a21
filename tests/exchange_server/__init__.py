"""The embedded venue: its mechanics without sockets, and the whole of it over them."""
