"""Records the corpus anew, as root: `record_corpus.py [BPFTRACE …]`, once per version.

Threads with hostile names read seven pages each of a loop device of their own, and
send seven commands each to a Redis server; what bpftrace prints is kept as it came.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from stackledger.capture import trial
from stackledger.capture.bpftrace import find
from stackledger.capture.session import Options, record

CORPUS = Path(__file__).with_name("corpus")
NAMES = [
    b'a","x":1}',
    b"\\\"'\\n\\u0041",
    b"new\nline\ttab\r",
    b"<script>1",
    b"]}",
    b"caf\xc3\xa9",
    b"\xff\xfe\x80bad",
    b"\x01\x02\x1f\x7f",
]
DRIVER = """
import ctypes, mmap, os, socket, sys
device, port, names = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
page = mmap.mmap(-1, 4096)
for number, name in enumerate(names):
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
    disk = os.open(device, os.O_RDONLY | os.O_DIRECT)
    for at in range(7):
        os.preadv(disk, [page], 4096 * (100 * number + at))
    os.close(disk)
    with socket.create_connection(("127.0.0.1", port)) as redis:
        for _ in range(7):
            redis.sendall(b"*2\\r\\n$3\\r\\nGET\\r\\n$3\\r\\nk\\xff\\"\\r\\n")
            redis.recv(64)
"""


def main() -> None:
    command = tuple(sys.argv[1:]) or None
    bpftrace = find(command)
    padding = trial.register_padding(bpftrace) or 0
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        server = subprocess.Popen(
            ["redis-server", "--port", "6390", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        (base / "disk").write_bytes(bytes(8 << 20))
        device = subprocess.run(
            ["losetup", "--find", "--show", str(base / "disk")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        try:
            outcome = record(
                Options(
                    store=base / "store",
                    bpftrace=command,
                    constants={"STACK": trial.STACK_BYTES - padding},
                    raw_folder=base,
                    command=(sys.executable, "-c", DRIVER, device, "6390", repr(NAMES)),
                )
            )
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
            server.terminate()
            server.wait()
        CORPUS.mkdir(exist_ok=True)
        shutil.copy(outcome.folder / "capture.json", CORPUS / f"{bpftrace}.json")
        number = Path(device).stat().st_rdev
        dev = os.major(number) << 20 | os.minor(number)
        for run in outcome.manifest.probes:
            lines = (base / f"{run.name}.jsonl").read_bytes().splitlines(keepends=True)
            if run.name == "block_io":  # other disks say nothing here
                lines = [one for one in lines if b'"block_io"' not in one or b",%d," % dev in one]
            variant = f".{run.variant}" if run.variant else ""
            path = CORPUS / f"{bpftrace}-{run.name}{variant}.jsonl.gz"
            path.write_bytes(gzip.compress(b"".join(lines), mtime=0))
    (CORPUS / f"{bpftrace}.json").unlink()


main()
