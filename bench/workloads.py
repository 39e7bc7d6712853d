"""The four workloads of bench/overhead.py: each says how much it did in a second."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackledger.labs import folders, gateway, postgres, programs, servers

_SELECT = "\\set id random(1, 40000)\nSELECT note FROM orders WHERE id = :id;\n"
_FILE_BYTES = 256 << 20
_NGINX = """\
daemon off; worker_processes 1; user nobody nogroup; pid nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path body;
proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
server {{ listen 127.0.0.1:{port}; location / {{ root {root}; }} }} }}
"""


@dataclass(frozen=True)
class Workload:
    """One workload: `unit` per second, by `argv` and a pattern, and the servers behind it."""

    name: str
    unit: str
    argv: tuple[str, ...]
    pids: tuple[int, ...] = ()  # of servers, for tools that follow processes

    def rate(self, before: tuple[str, ...] = ()) -> float:
        """Run it once; `before` is a tool that starts it, as strace."""
        said = subprocess.run([*before, *self.argv], capture_output=True, text=True, check=True)
        if self.name == "fio 4k random reads":
            return float(json.loads(said.stdout)["jobs"][0]["read"]["iops"])
        if self.name == "dd bs=1":
            copied = re.search(r"(\d+) bytes.* copied, ([0-9.e-]+) s", said.stderr)
            return float(copied[1]) / float(copied[2]) if copied else 0.0
        found = re.search(r"(?:tps =|Requests/sec:)\s+([0-9.]+)", said.stdout)
        if found is None:
            raise SystemExit(f"{self.name}: said no rate: {said.stdout}")
        return float(found[1])


@contextmanager
def all_of_them(seconds: int) -> Iterator[list[Workload]]:
    """Run the servers and yield the workloads, each of about so many seconds."""
    with folders.private_folder(None) as folder:
        ports = servers.free_ports(("database", "web"))
        with (
            postgres.database(folder, ports["database"]) as database,
            _web(folder, ports["web"]) as web,
        ):
            database.warm_cache()
            script = folder / "select.sql"
            script.write_text(_SELECT)
            port = str(ports["database"])
            yield [
                Workload(
                    "pgbench -S",
                    "transactions",
                    (
                        *("pgbench", "-n", "-h", "127.0.0.1", "-p", port, "-U", "lab"),
                        *("-f", str(script), "-T", str(seconds), "-c", "4", "-j", "2", "postgres"),
                    ),
                    tuple(database.server.pids()),
                ),
                Workload(
                    "dd bs=1",
                    "bytes",
                    (
                        *("dd", "if=/dev/zero", "of=/dev/null", "bs=1"),
                        f"count={1_500_000 * seconds}",
                    ),
                ),
                Workload(
                    "fio 4k random reads",
                    "reads",
                    (
                        *("fio", "--name=r", f"--filename={folder}/fio", f"--size={_FILE_BYTES}"),
                        *("--rw=randread", "--bs=4k", "--direct=1", "--ioengine=psync"),
                        *("--time_based", f"--runtime={seconds}", "--output-format=json"),
                    ),
                ),
                Workload(
                    "wrk on nginx",
                    "requests",
                    ("wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{ports['web']}/page"),
                    tuple(web.pids()),
                ),
            ]


@contextmanager
def _web(folder: Path, port: int) -> Iterator[servers.Server]:
    root = folder / "root"
    root.mkdir(mode=0o755)
    (root / "page").write_bytes(b"x" * 1024)
    config = folder / "web.conf"
    config.write_text(_NGINX.format(port=port, root=root))
    binary = programs.programs(["nginx"])["nginx"]
    argv = [binary, "-e", "stderr", "-p", str(folder), "-c", str(config)]
    with servers.server("web", argv, folder=folder) as it:
        servers.wait_until(lambda: _answers(port), it)
        yield it


def _answers(port: int) -> bool:
    try:
        gateway.get(f"http://127.0.0.1:{port}/page", timeout_s=2)
    except OSError:  # URLError is one
        return False
    return True
