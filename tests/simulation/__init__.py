"""The bot and the embedded exchange in one loop on virtual time: no sockets, no tasks, no wall clock."""
