"""Tests of the shells: real sockets with small scripted peers, and virtual time where no socket is involved."""
