"""Runs a program as a systemd unit would, by hand: what can be had without systemd as PID 1."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "stackledger.service"
LONG = "60s"
# As ProtectSystem=strict has it: everything but /dev, /proc and /sys, and the unit's own folder.
_MOUNTS = """
set -eu
state=$1; shift
mount --bind "$state" "$state"
while read -r _ _ _ _ at _; do
  case $at in
    /dev|/dev/*|/proc|/proc/*|/sys|/sys/*|"$state") ;;
    *) mount -o remount,bind,ro "$at" ;;
  esac
done < /proc/self/mountinfo
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
exec "$@"
"""


def unit() -> dict[str, str]:
    """Return the section [Service]; no word stands there twice."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return dict(parser["Service"])


def capabilities(service: dict[str, str]) -> list[str]:
    """Return the names of the bounding set as setpriv has them."""
    return [word.removeprefix("CAP_").lower() for word in service["CapabilityBoundingSet"].split()]


def confined(
    service: dict[str, str], state: Path, caps: list[str], groups: tuple[Path, ...] = ()
) -> list[str]:
    """Return the words before a program that confine it to `state`, its StateDirectory.

    `groups` are cgroups that it enters before.
    """
    assert service["ProtectSystem"] == "strict"
    assert service["PrivateTmp"] == service["NoNewPrivileges"] == "yes"
    assert service["StateDirectory"] == "stackledger"
    bounding = ",".join(["-all", *(f"+{name}" for name in caps)])
    entering = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    return [
        *("sh", "-c", f'{entering}umask {service["UMask"]}; exec "$@"', "sh"),
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNTS, "sh", str(state)),
        *("prlimit", f"--core={service['LimitCORE']}"),
        *("setpriv", "--no-new-privs", f"--bounding-set={bounding}", "--inh-caps=-all", "--"),
    ]


def command(service: dict[str, str], state: Path, program: list[str]) -> list[str]:
    """Return ExecStart with another program for its first word, and LONG for its hour."""
    words = shlex.split(service["ExecStart"].replace("${STATE_DIRECTORY}", str(state)))
    return [*program, *(LONG if word == "1h" else word for word in words[1:])]
