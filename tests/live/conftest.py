"""What live tests need beyond bpftrace: the labs' servers, and folders that prove a clean end."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.capture import bpftrace, preconditions
from stackledger.capture.session import Options, Outcome, record
from stackledger.capture.trial import STACK_BYTES, register_padding
from stackledger.labs import load, node_stack, servers, stack
from stackledger.labs.programs import missing_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import duckdb

# Whoever starts tests in the background may have SIGINT ignored, and SIGHUP by nohup, and what
# they start inherits that: here Ctrl-C and a terminal's end are what is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Another bpftrace instead of the host's, e.g. "chroot /somewhere bpftrace".
OTHER_BPFTRACE = tuple(shlex.split(os.environ.get("STACKLEDGER_OTHER_BPFTRACE", "")))

# Requests of one lab: those below a root that came to one of its ports. Other
# stacks may run on this host at the same time.
_MINE = """
CREATE OR REPLACE TEMP TABLE mine AS
SELECT
  q.*,
  root.endpoint AS root_endpoint,
  t.depth,
  t.critical_share,
  f.server_port,
  least(q.cpu_ns, q.runq_ns, q.disk_ns, q.lock_ns, q.sleep_ns, q.queue_ns, q.net_ns,
    q.downstream_ns, q.other_ns, q.unexplained_ns) AS smallest_ns,
  q.cpu_ns + q.runq_ns + q.disk_ns + q.lock_ns + q.sleep_ns + q.queue_ns + q.net_ns
    + q.downstream_ns + q.other_ns + q.unexplained_ns AS sum_ns
FROM tree AS t
JOIN requests AS q USING (sock, recv_ts_ns)
JOIN requests AS root ON root.sock = t.root_sock AND root.recv_ts_ns = t.root_recv_ts_ns
JOIN request AS r ON r.sock = q.sock AND r.recv_ts_ns = q.recv_ts_ns
JOIN flow AS f ON f.sock = r.sock AND f.conn_ts_ns = r.conn_ts_ns
JOIN request AS first ON first.sock = root.sock AND first.recv_ts_ns = root.recv_ts_ns
JOIN flow AS front ON front.sock = first.sock AND front.conn_ts_ns = first.conn_ts_ns
WHERE front.server_port IN (SELECT unnest($ports))
"""

REQUIRED = os.environ.get("STACKLEDGER_LIVE") == "required"


def _need(programs: Sequence[str]) -> None:
    """Skip where a program is missing; where live tests are required, fail instead."""
    missing = missing_programs(programs)
    if not missing:
        return
    reason = f"needs {', '.join(missing)}"
    if REQUIRED:
        pytest.fail(f"STACKLEDGER_LIVE=required, but this host {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _tracefs() -> None:
    """Mount tracefs, as every command that traces does: a fresh host has not."""
    preconditions.require()


@pytest.fixture(scope="session")
def stack_programs() -> None:
    """Need nginx, haproxy and PostgreSQL."""
    _need(stack.PROGRAMS)


@pytest.fixture(scope="session")
def network_programs() -> None:
    """Need what makes a network of its own lose packets."""
    _need(("ip", "nft"))


@pytest.fixture(scope="session")
def node_programs() -> None:
    """Need nginx, Node.js and Redis."""
    _need(node_stack.PROGRAMS)


def _groups(owner: int) -> Iterator[Path]:
    return Path("/sys/fs/cgroup").glob(f"**/stackledger-lab-{owner}-*")


class Ground:
    """A folder for a lab, and what is still on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Another lab of this process may go on meanwhile.
        self._others = set(_groups(os.getpid()))

    def left(self, owner: int | None = None) -> list[str]:
        """Return the processes at work in the folder, its files, and `owner`'s cgroups."""
        groups = set(_groups(owner or os.getpid())) - self._others
        return [*self.processes(), *map(str, self.folder.iterdir()), *map(str, groups)]

    def processes(self) -> list[str]:
        """Return number and name of each process whose working folder is in here."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                cwd = str((process / "cwd").readlink())
                name = (process / "comm").read_text().strip()
            except OSError:
                continue
            if cwd.startswith(f"{self.folder}/"):
                found.append(f"{process.name} {name}")
        return found


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Give a folder on a disk through which other users may pass."""
    folder = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield Ground(folder)
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Recorded:
    """An assembled capture, with `mine`: the requests of the lab; and each load's result."""

    outcome: Outcome
    sql: duckdb.DuckDBPyConnection
    loads: Mapping[str, load.LoadResult]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query with $1, $2 …"""
        return self.sql.execute(query, list(values)).fetchall()

    def one(self, query: str, *values: object) -> tuple[Any, ...]:
        """Return the only row of a query."""
        (row,) = self.rows(query, *values)
        return row


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recorded]:
    """Give a function that records while it runs commands one after another.

    `commands`: name to argv; what a command named like a load prints is its result.
    `ports`: where the lab's transactions arrive. Other options go to `Options`.
    """
    program = OTHER_BPFTRACE or None
    padding = register_padding(bpftrace.find(program))
    assert padding is not None, "this kernel keeps the registers elsewhere"
    home = tmp_path_factory.mktemp("captures")

    def recorded(
        commands: Mapping[str, Sequence[str]], ports: Sequence[int], **options: Any
    ) -> Recorded:
        folder = Path(tempfile.mkdtemp(dir=home))
        # The load must not queue for the CPUs that it measures.
        script = "\n".join(
            f"chrt -f 10 {shlex.join(argv)} > {shlex.quote(str(folder / name))}"
            for name, argv in commands.items()
        )
        with pytest.MonkeyPatch.context() as patch:
            for name, value in servers.module_path().items():
                patch.setenv(name, value)
            outcome = record(
                Options(
                    store=folder,
                    command=("sh", "-euc", script),
                    constants={"STACK": STACK_BYTES - padding},
                    bpftrace=program,
                    **options,
                )
            )
        assert outcome.exit_code == 0, outcome.manifest.error
        # Here, for a recording that is made again must not have lost anything either.
        assert not [one for one in outcome.manifest.losses if one.lost or one.undecodable]
        sql = store.connect(store.find("last", folder))
        assemble(sql)
        sql.execute(_MINE, {"ports": list(ports)})
        said = {name: (folder / name).read_text() for name in commands}
        loads = {name: load.parse(text) for name, text in said.items() if '"endpoints"' in text}
        return Recorded(outcome, sql, loads)

    return recorded


# Of a disk of this machine 1 ms is usual. Now and then all wait for 200 to 1500 ms; a throttle
# does not count, it holds I/O back before the device.
SLOWEST_IO_NS, STALL_NS = "SELECT coalesce(max(device_ns), 0) FROM block_io", 50_000_000
# Of all CPUs' time: more, and sleeps and loops of 10 ms are off by more than tests allow.
_MOST_STOLEN = 0.01
_PAUSES_S = (0, 10, 20)


def stood_still(captures: Iterable[store.Capture]) -> bool:
    """Tell whether this machine's disk stood still during one of these."""
    slowest = []
    for capture in captures:
        with store.connect(capture) as connection:
            slowest += connection.execute(SLOWEST_IO_NS).fetchone() or ()
    print(f"slowest I/O {[one / 1e6 for one in slowest]} ms")
    return max(slowest, default=0) >= STALL_NS


@pytest.fixture(scope="session")
def undisturbed() -> Callable[[Callable[[], Any]], Any]:
    """Give a function that repeats an attempt, twice at most, in which CPUs were stolen.

    What a hypervisor takes is on the kernel's clocks but not on a thread's own: their
    difference says nothing of the ledger then. Nor is a disk quick that stood still. The
    last attempt counts as it is.
    """

    def repeated(attempt: Callable[[], Any]) -> Any:
        for pause_s in _PAUSES_S:
            time.sleep(pause_s)
            before = psutil.cpu_times()
            found = attempt()
            spent = [now - then for now, then in zip(psutil.cpu_times(), before, strict=True)]
            stolen = spent[before._fields.index("steal")] / sum(spent)
            (slowest_ns,) = found.recorded.one(SLOWEST_IO_NS)
            print(f"{stolen:.1%} of the CPUs was stolen, slowest I/O {slowest_ns / 1e6:.1f} ms")
            if stolen <= _MOST_STOLEN and slowest_ns < STALL_NS:
                break
        return found

    return repeated


@dataclass(frozen=True)
class LoopDisk:
    """A mounted ext4: `dev` as the kernel counts, `name` as in /sys/block."""

    folder: Path
    name: str
    dev: int


@pytest.fixture(scope="module")
def loop_disk() -> Iterator[LoopDisk]:
    """Give an ext4 of our own that commits its journal only when asked: nobody else is on it."""
    at = Path(tempfile.mkdtemp(prefix="stackledger-test-", dir="/var/tmp"))
    image, folder = at / "disk.img", at / "mnt"
    with image.open("wb") as content:
        content.truncate(160 << 20)
    folder.mkdir()
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", lazy, str(image)], check=True)
    path = subprocess.run(
        ["losetup", "--find", "--show", "--direct-io=on", str(image)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    try:
        subprocess.run(["mount", "-o", "commit=600", path, str(folder)], check=True)
        try:
            number = folder.stat().st_dev
            dev = os.major(number) << 20 | os.minor(number)
            yield LoopDisk(folder, Path(path).name, dev)
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)
        shutil.rmtree(at)
