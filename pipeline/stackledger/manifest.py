"""capture.json: what was recorded, where, with what, and what was lost.

Written when the recording starts (state "recording") and again at its end
("complete", or "failed" with the reason). A capture that says "recording" and
has no live writer was cut off: its parts are whole, its end is missing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from stackledger import untrusted
from stackledger.errors import NoSuchCaptureError, StackledgerError
from stackledger.schema import SCHEMA_VERSION

FILE_NAME = "capture.json"
# A thousand cgroups and ten thousand sockets are 2 MiB.
_LARGEST_BYTES = 64 << 20


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
    """One probe's part.

    `state` is starting, recording, complete, stopped, failed or unavailable.
    """

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
    bpftrace_cpu_ns: int | None = None  # while it recorded
    programs_cpu_ns: int | None = None  # of its programs in the kernel, None where not known
    stopped_ns: int = 0  # since the epoch: when it was stopped for what it cost
    stopped_why: str = ""


class Overhead(msgspec.Struct, kw_only=True):
    """What the recording itself took; each probe's own is in its run."""

    elapsed_ns: int
    cpus: int
    stackledger_cpu_ns: int  # of the process that wrote the capture
    counters_every_s: int = 1  # at its end: how often the host's counters were taken

    def share(self, cpu_ns: int) -> float:
        """Return a CPU time as a share of all that the host had meanwhile."""
        return cpu_ns / max(1, self.elapsed_ns * self.cpus)


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
    `dropped` are stored rows that were not to be kept any longer: no loss.
    """

    table: str
    produced: int | None
    received: int
    lost: int | None
    undecodable: int
    dropped: int = 0


class Dropped(msgspec.Struct, kw_only=True):
    """What retention removed of a table: its parts up to number `through`, with their rows."""

    table: str
    through: int
    rows: int


class Command(msgspec.Struct, kw_only=True):
    """The program that ran meanwhile: `exit_code` None where it was ended by us."""

    argv: list[str]
    exit_code: int | None = None


class Redaction(msgspec.Struct, kw_only=True):
    """Which of the traced programs' own words the capture holds.

    `policy` names the rules by which they were taken, empty in captures of before there
    were any. `scrubbed` are columns, `table.column`, that `stackledger scrub` has emptied,
    `scrubbing` those that one which was cut off may have left.
    """

    policy: str = ""
    payload: bool = False  # as bytes, and command lines in full: --payload
    normalised: list[str] = []
    not_stored: list[str] = []
    scrubbed: list[str] = []
    scrubbing: list[str] = []


def redaction(*, payload: bool) -> Redaction:
    """Return the policy by which a capture is recorded."""
    named = ["request.endpoint", "request.statement"]
    if payload:
        return Redaction(policy="payload/1", payload=True, normalised=named)
    return Redaction(
        policy="normalised/1",
        normalised=[*named, "process.cmdline", "exec_argument.argument", "command.argv"],
        not_stored=[
            *("request bytes", "query strings", "headers", "SQL literals"),
            *("values of arguments", "lines that could not be decoded"),
        ],
    )


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
    size_bytes: int = 0  # of its parts at its end
    kept_from_ns: int = 0  # rows before that were dropped, 0 where none were
    dropped: list[Dropped] = []
    losses: list[Loss] = []
    overhead: Overhead | None = None  # None before its end, and of older captures
    command: Command | None = None
    redaction: Redaction = msgspec.field(default_factory=Redaction)

    @property
    def overhead_share(self) -> float | None:
        """What the recording took of the host's CPU time, None where it was not measured."""
        if self.overhead is None:
            return None
        probes = sum(one.bpftrace_cpu_ns or 0 for one in self.probes)
        programs = sum(one.programs_cpu_ns or 0 for one in self.probes)
        return self.overhead.share(self.overhead.stackledger_cpu_ns + probes + programs)

    @property
    def begin_ns(self) -> int:
        """From when on it is complete: its start, or what was dropped last."""
        return max(self.started_ns, self.kept_from_ns)


class _Version(msgspec.Struct):
    schema_version: int


def load(folder: Path) -> Manifest:
    """Return a capture's manifest.

    Raises NoSuchCaptureError where there is none, StackledgerError where it is
    broken, of a later schema, or of one that never was.
    """
    path = folder / FILE_NAME
    try:
        content = untrusted.read(path, _LARGEST_BYTES)
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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise StackledgerError("broken capture.json", f"{path}: {failure}") from None
    except OSError as failure:
        raise StackledgerError("cannot read the capture", f"{path}: {failure.strerror}") from None
