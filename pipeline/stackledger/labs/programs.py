"""Finds the programs that a lab starts, and says how to install the missing ones."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import CannotTraceError, StackledgerError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Debian's package for each program, for the hint.
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "node": "nodejs",
    "setpriv": "util-linux",
    "chrt": "util-linux",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "umount": "mount",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "nats-server": "nats-server",
    "go": "golang-go",
}

# On every Debian.
_BASE = frozenset(("util-linux", "mount", "e2fsprogs"))

# `su` without a dash keeps a user's PATH, which has no sbin on Debian; Debian
# and Red Hat keep PostgreSQL's server programs out of PATH.
EXTRA_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
POSTGRES_FOLDERS = ("lib/postgresql/*/bin", "pgsql-*/bin")


def find_program(name: str) -> str | None:
    """Return the path of a server's program, or None."""
    folders = [os.environ.get("PATH", os.defpath), *EXTRA_FOLDERS]
    if name == "postgres":
        found = [path for pattern in POSTGRES_FOLDERS for path in Path("/usr").glob(pattern)]
        folders += map(str, sorted(found, key=_version, reverse=True))
    return shutil.which(name, path=os.pathsep.join(folders))


def missing_programs(names: Iterable[str]) -> list[str]:
    """Return those of the programs that are not installed."""
    return [name for name in names if find_program(name) is None]


def programs(names: Iterable[str]) -> dict[str, str]:
    """Return the path of each program; raises with the package that brings the missing ones."""
    wanted = list(names)
    if missing := missing_programs(wanted):
        raise CannotTraceError(
            "the lab needs programs that are not installed",
            ", ".join(missing),
            hint=install_line(missing),
        )
    return {name: find_program(name) or name for name in wanted}


def needed_packages(names: Iterable[str]) -> list[str]:
    """Return Debian's packages of programs, but for those that are on every Debian."""
    packages = dict.fromkeys(PACKAGES.get(name, name) for name in names)
    return [package for package in packages if package not in _BASE]


def install_line(names: Iterable[str]) -> str:
    """Return the command that installs programs on Debian."""
    packages = dict.fromkeys(PACKAGES.get(name, name) for name in names)
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def require_root(what: str) -> None:
    """Raise unless this process may change users, cgroups and the page cache."""
    if os.geteuid() != 0:
        raise StackledgerError(f"{what} needs root", hint="run it with sudo")


def unprivileged_user() -> str:
    """Return an account for servers that refuse root: postgres, or nobody."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise StackledgerError("no unprivileged user for the lab", "postgres, nobody")


def _version(folder: Path) -> tuple[int, ...]:
    """Return the numbers in a path such as /usr/lib/postgresql/15/bin."""
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))
