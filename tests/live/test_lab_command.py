"""`stackledger lab`: a fault is found and its cure seen, and nothing is left behind.

One lab runs whole here, beside traffic that is not its own; the others are run by
`just labs`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import store
from stackledger.analysis.assembly import assemble
from stackledger.cli import main
from stackledger.labs import load, programs, running, servers

from .conftest import stood_still

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

FOREIGN = "/foreign"
_FOREIGN_NGINX = """\
daemon off; pid {folder}/pid; error_log stderr error;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 x; }} }}
}}
"""


@contextmanager
def _others(folder: Path) -> Iterator[None]:
    """Have another nginx answer requests on this host, which no lab started."""
    (port,) = servers.free_ports(["foreign"]).values()
    config = folder / "foreign.conf"
    config.write_text(_FOREIGN_NGINX.format(folder=folder, port=port))
    nginx = [programs.programs(["nginx"])["nginx"], "-e", "stderr", "-p", str(folder)]
    drive = load.command(f"http://127.0.0.1:{port}", [FOREIGN], rate_hz=100.0, duration_s=600)
    environment = {**os.environ, **servers.module_path()}
    with ExitStack() as running_:
        server = running_.enter_context(
            servers.server("foreign", [*nginx, "-c", str(config)], folder=folder)
        )
        servers.wait_until(lambda: servers.accepts(port), server)
        client = running_.enter_context(
            subprocess.Popen(drive, stdout=subprocess.DEVNULL, env=environment)
        )
        running_.callback(client.terminate)
        yield


def _left() -> set[str]:
    """Return the folders, disks, mounts, namespaces, cgroups of labs."""
    found = {str(one) for one in Path("/var/tmp").glob("stackledger-lab-*")}
    found |= {str(one) for one in Path("/run/netns").glob("stackledger-lab-*")}
    found |= {str(one) for one in Path("/sys/fs/cgroup").glob("**/stackledger-lab-*")}
    mounts = Path("/proc/mounts").read_text().splitlines()
    found |= {line.split()[1] for line in mounts if "stackledger-lab-" in line}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        if "stackledger-lab-" in (path := backing.read_text()):
            found.add(path)
    return found


@pytest.fixture(scope="module")
def told(
    stack_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]], set[str]]:
    """Run the lab of the slow disk; return where it kept what, its rows, what it left.

    Again, twice at most, where this machine's own disk stood still while the lab's was quick.
    """
    before = _left()
    for _ in range(3):
        keep = tmp_path_factory.mktemp("kept")
        words = ["io-bottleneck", "--for", "2s", "--keep", str(keep), "--format", "json"]
        command = [sys.executable, "-m", "stackledger", "lab", *words]
        with _others(tmp_path_factory.mktemp("foreign")):
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        assert done.returncode == 0
        captures = store.captures(keep)
        if not stood_still(one for one in captures if not one.manifest.name.endswith("fault")):
            break
    return keep, json.loads(done.stdout), _left() - before


def _values(told: Any, figure: str) -> dict[str, Any]:
    return {
        row["phase"]: row["value"] if row["text"] is None else row["text"]
        for row in told[1]
        if row["figure"] == figure
    }


def test_the_fault_is_a_slow_disk_and_the_cure_mends_it(told):
    disk = _values(told, "disk latency p50")
    assert disk["fault"] > 10 * disk["baseline"]
    assert disk["fault"] > 10 * disk["cure"]
    slow = _values(told, "latency p50")
    assert slow["fault"] > 5 * slow["baseline"]
    waited, whole = _values(told, "waiting for the disk"), _values(told, "sum")
    assert waited["fault"] > 0.8 * whole["fault"]
    # 40 writes a second are allowed: what the throttle counts, the probe counts.
    assert _values(told, "of the disk's limit")["fault"] == pytest.approx(1, abs=0.2)


def test_the_diagnosis_names_the_disk_and_only_of_the_fault(told):
    assert _values(told, "resource")["fault"] == "disk"
    assert _values(told, "resource").get("cure") != "disk"
    assert "waiting for the disk" in _values(told, "ledger")["fault"]


def test_what_else_the_host_served_is_recorded_and_not_in_the_table(told):
    keep, _, _ = told
    rates = _values(told, "requests/s")
    for capture in store.captures(keep):
        with store.connect(capture, with_views=False) as connection:
            assemble(connection)
            whole, foreign, dur_ns = connection.execute(
                "SELECT count(*), count(*) FILTER (contains(endpoint, $foreign)),"
                " any_value(dur_ns) FROM roots, span WHERE complete",
                {"foreign": FOREIGN},
            ).fetchone()
        assert foreign > 0
        phase = capture.manifest.name.partition(".")[2]
        assert rates[phase] == pytest.approx((whole - foreign) * 1e9 / dur_ns)
    assert FOREIGN not in (keep / "io-bottleneck.html").read_text()


def test_captures_and_page_stay_and_nothing_else(told):
    keep, rows, left = told
    assert left == set()
    names = [one.manifest.name for one in store.captures(keep)]
    assert names == [f"io-bottleneck.{phase}" for phase in ("baseline", "fault", "cure")]
    assert {row["capture"] for row in rows} == {one.manifest.id for one in store.captures(keep)}
    assert "Lab io-bottleneck" in (keep / "io-bottleneck.html").read_text()


def test_told_to_stop_it_leaves_nothing_but_what_it_recorded(
    stack_programs: None, tmp_path: Path, network_programs: None
) -> None:
    before = _left()
    words = ["lab", "network-congestion", "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "stackledger", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as lab:
        assert lab.stderr is not None
        for line in lab.stderr:
            if line == "recording\n":
                break
        # A second one must not end the clean-up.
        lab.send_signal(signal.SIGTERM)
        lab.send_signal(signal.SIGINT)
        said = lab.stderr.read()
    assert lab.returncode == 130
    assert "what was recorded until then" in said
    assert "Traceback" not in said
    assert _left() - before == set()


def test_a_second_lab_is_refused(
    stack_programs: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running._LOCK.parent.mkdir(mode=0o700, exist_ok=True)
    with running._LOCK.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _left()
        assert main(["lab", "syscall-storm", "--keep", str(tmp_path)]) == 1
        assert "error: another lab is running" in capsys.readouterr().err
        assert _left() == before
