"""capture.json: what was recorded, where, with what, and what was lost.

Written when the recording starts (state "recording") and again at its end
("complete", or "failed" with the reason). A capture that says "recording" and
has no live writer was cut off: its parts are whole, its end is missing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from stackledger.errors import NoSuchCaptureError, StackledgerError
from stackledger.schema import SCHEMA_VERSION

FILE_NAME = "capture.json"


class Anchor(msgspec.Struct, frozen=True):
    """One instant on all clocks; `error_ns` is how far apart the readings can be.

    `suspended_ns` is how long the host has slept since its boot, by the boot clock less the
    one that stops meanwhile; None where it was not read.
    """

    boottime_ns: int
    realtime_ns: int
    error_ns: int
    suspended_ns: int | None = None

    @property
    def offset_ns(self) -> int:
        """What to add to the boot clock to get nanoseconds since the epoch."""
        return self.realtime_ns - self.boottime_ns


class Machine(msgspec.Struct, kw_only=True):
    """The host's size and kind."""

    cpus: int
    memory_bytes: int
    arch: str
    cpu_model: str = ""


class Disk(msgspec.Struct, kw_only=True):
    """A whole block device; `dev` is major << 20 | minor, as in block_io."""

    dev: int
    name: str
    major: int
    minor: int
    size_bytes: int
    rotational: bool
    model: str = ""


class Listener(msgspec.Struct, kw_only=True):
    """A listening socket, of any network namespace; a Unix one has a path and no port."""

    family: str  # tcp, tcp6 or unix
    address: str
    port: int
    pid: int  # 0 where the owner could not be found
    comm: str


class Cgroup(msgspec.Struct, kw_only=True):
    """A cgroup that holds a process; `id` is what bpftrace calls `cgroup`, 0 in version 1."""

    path: str
    id: int


class Topology(msgspec.Struct, kw_only=True):
    """What was there when the recording started (listeners: or at its end)."""

    listeners: list[Listener] = []
    disks: list[Disk] = []
    cgroups: list[Cgroup] = []


class ProbeRun(msgspec.Struct, kw_only=True):
    """One probe's part: `state` is starting, recording, complete, failed or unavailable."""

    name: str
    variant: str
    grade: str = ""  # exact or approximate, as the variant's header says
    sha256: str  # of the program as it ran, without control.py's two probes
    tables: list[str]
    state: str = "starting"
    error: str = ""
    rows: int = 0
    lost_events: int = 0  # bpftrace's own count; some rows of whichever table
    in_flight: dict[str, int] = {}  # at its end: I/Os under way, by device
    skipped_runs: int = 0  # times the kernel did not run one of its programs
    complaints: list[str] = []
    undecodable: list[str] = []  # a few samples


class OwnColumn(msgspec.Struct, kw_only=True):
    """A column of a script's own table; `kind` is empty where no row has decided it."""

    name: str
    kind: str
    unit: str = ""


class OwnTable(msgspec.Struct, kw_only=True):
    """A table that a user's script printed."""

    name: str
    columns: list[OwnColumn]


class Loss(msgspec.Struct, kw_only=True):
    """One table's ledger of losses, in rows.

    `produced` is the kernel side's own count, None where the probe did not live
    to tell. lost = produced - received - undecodable where that is known, else
    what bpftrace reported, None where it reported nothing: that is no proof.
    """

    table: str
    produced: int | None
    received: int
    lost: int | None
    undecodable: int


class Command(msgspec.Struct, kw_only=True):
    """The program that ran meanwhile: `exit_code` None where it was ended by us."""

    argv: list[str]
    exit_code: int | None = None


class Manifest(msgspec.Struct, kw_only=True):
    """The content of capture.json."""

    schema_version: int
    id: str
    name: str
    state: str  # recording, complete or failed
    error: str = ""
    host: str
    kernel: str
    boot_id: str
    machine: Machine
    stackledger: str
    bpftrace: str
    started_ns: int = 0  # when all probes were in place; nanoseconds since the epoch
    ended_ns: int = 0
    writer_pid: int = 0
    options: dict[str, str | int | float | bool | list[str | int] | None]
    filters: dict[str, list[str]]
    constants: dict[str, int] = {}
    clock_offset_ns: int = 0  # boot clock to epoch, as used for every row
    clock: list[Anchor] = []
    topology: Topology
    probes: list[ProbeRun]
    own_tables: list[OwnTable] = []
    losses: list[Loss] = []
    command: Command | None = None


class _Version(msgspec.Struct):
    schema_version: int


def load(folder: Path) -> Manifest:
    """Return a capture's manifest.

    Raises NoSuchCaptureError where there is none, StackledgerError where it is
    broken, of a later schema, or of one that never was.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise StackledgerError(
                "the capture was written by a newer stackledger",
                f"{path}: schema {version}, this one reads {SCHEMA_VERSION}",
                hint="upgrade: pip install -U stackledger",
            )
        if version < 1:
            raise StackledgerError(
                "broken capture.json",
                f"{path}: schema {version}, this one reads 1 to {SCHEMA_VERSION}",
            )
        return msgspec.json.decode(content, type=Manifest)
    except FileNotFoundError:
        raise NoSuchCaptureError("not a capture: it has no capture.json", folder) from None
    except (msgspec.ValidationError, msgspec.DecodeError) as failure:
        raise StackledgerError("broken capture.json", f"{path}: {failure}") from None
    except OSError as failure:
        raise StackledgerError("cannot read the capture", f"{path}: {failure.strerror}") from None
