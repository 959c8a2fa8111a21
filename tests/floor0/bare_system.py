"""A system without what only POSIX has, as far as our own code can see: `python -m tests.floor0.bare_system` is `coldframe` on it.

The libraries below ours keep their own ways for other systems; here they keep what this one has.
"""

from __future__ import annotations

import builtins
import importlib
import os
import pkgutil
import signal
import socket
import sys
import time
from types import ModuleType
from typing import Any, Final

_OURS: Final = ("coldframe", "coldframe_maker", "coldframe_momentum", "coldframe_guard")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES: Final = _names("fcntl grp nis posix pty pwd resource spwd syslog termios tty")
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "os": _names("""
        O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE chown chroot ctermid
        fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid getgid getgrouplist getgroups getloadavg
        getpgid getpgrp getpriority getresgid getresuid getsid getuid initgroups killpg lchown lockf mkfifo mknod nice openpty
        pathconf pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev register_at_fork
        sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority setsid
        setuid statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid"""),
    "signal": _names("""
        ITIMER_REAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU
        SIGURG SIGUSR1 SIGUSR2 SIGWINCH SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm getitimer pause pthread_kill pthread_sigmask
        setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo"""),
    "socket": _names("""
        AF_NETLINK AF_PACKET AF_UNIX CMSG_LEN MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_PASSCRED SO_PEERCRED SO_REUSEPORT recv_fds
        send_fds TCP_USER_TIMEOUT"""),
    "time": _names("clock_gettime clock_gettime_ns clock_settime tzset pthread_getcpuclockid"),
}


class _Bare(ModuleType):
    """A module that lacks something for code of ours."""

    def __getattribute__(self, attribute: str) -> Any:
        name = ModuleType.__getattribute__(self, "__name__")
        if attribute in ATTRIBUTES[name] and _is_ours(sys._getframe(1).f_globals):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r} on this system")
        return ModuleType.__getattribute__(self, attribute)


def _is_ours(names: dict[str, Any]) -> bool:
    return str(names.get("__name__", "")).partition(".")[0] in _OURS


def take_away() -> None:
    """From here on code of ours finds none of it."""
    for module in (os, signal, socket, time):
        module.__class__ = _Bare
    usual = builtins.__import__

    def imported(name: str, *args: Any, **more: Any) -> Any:
        if name.partition(".")[0] in MODULES and args and _is_ours(args[0]):
            raise ModuleNotFoundError(f"No module named {name!r} on this system")
        return usual(name, *args, **more)

    builtins.__import__ = imported


def main() -> None:
    """Imports everything of ours, then goes on as the command line does."""
    take_away()
    for package in map(importlib.import_module, _OURS):
        for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    importlib.import_module("coldframe.cli").script()


if __name__ == "__main__":
    main()
