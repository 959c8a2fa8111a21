"""Tests of the Trio tasks: real sockets with small scripted peers, and virtual time where no socket is involved."""
