"""What happens during the capture of test_counters.py, and what others count of it: JSON.

scene.py DEVICE NAMESPACE CGROUP… (folders of empty groups)
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

READS, WRITES, BLOCK = 101, 53, 8192
WORK_READS, WORK_BYTES = 211, 1000
PINGS = 47
BURN_S, MEMORY, GROUP_READS = 0.31, 37 << 20, 41
IOSTAT_S = 4


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def disk(device: str) -> dict[str, float]:
    """Return what iostat says of a device that does our I/O and nobody else's."""
    with subprocess.Popen(
        ["iostat", "-dxky", "-o", "JSON", Path(device).name, str(IOSTAT_S), "1"],
        stdout=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    ) as iostat:
        time.sleep(0.7)
        same = [f"bs={BLOCK}", "status=none"]
        run("dd", f"if={device}", "of=/dev/null", f"count={READS}", "iflag=direct", *same)
        run("dd", "if=/dev/zero", f"of={device}", f"count={WRITES}", "oflag=direct", *same)
        told = json.loads(iostat.communicate()[0])
    (row,) = told["sysstat"]["hosts"][0]["statistics"][0]["disk"]
    return dict(row)


def interface(namespace: str) -> dict[str, dict[str, int]]:
    """Make a cable, ping through it, remove it, make it anew; return `ip`'s counts of it."""
    here, there = f"slh{os.getpid()}", f"slt{os.getpid()}"

    def made() -> None:
        run("ip", "link", "add", here, "type", "veth", "peer", there, "netns", namespace)
        run("ip", "addr", "add", "198.18.77.1/30", "dev", here)
        run("ip", "link", "set", here, "up")
        run("ip", "-n", namespace, "addr", "add", "198.18.77.2/30", "dev", there)
        run("ip", "-n", namespace, "link", "set", there, "up")
        time.sleep(1.5)

    def counts() -> dict[str, int]:
        told = json.loads(run("ip", "-s", "-j", "link", "show", here))[0]["stats64"]
        return {
            "recv_packets": told["rx"]["packets"],
            "send_packets": told["tx"]["packets"],
            "recv_bytes": told["rx"]["bytes"],
            "send_bytes": told["tx"]["bytes"],
        }

    made()
    begun = counts()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(PINGS):
            sender.sendto(b"x" * 1000, ("198.18.77.2", 9))
    time.sleep(2.5)
    ended = counts()
    run("ip", "link", "del", here)
    made()
    time.sleep(1.2)
    last = counts()
    run("ip", "link", "del", here)
    return {"name": {here: 1}, "begun": begun, "ended": ended, "last": last}


def burn(groups: list[str], device: str) -> float:
    """Burn CPU time in a process that is in the groups; return how much, by its own count.

    It also takes memory, and reads from the disk.
    """
    script = (
        # Before it joins: what is imported is read from the disk, too.
        "import mmap, os, sys, time\n"
        "for group in sys.argv[3:]:\n"
        "    open(group + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "begun = time.process_time()\n"
        "while time.process_time() - begun < float(sys.argv[1]): pass\n"
        f"much = bytearray(os.urandom({MEMORY}))\n"
        "disk = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECT)\n"
        f"room = mmap.mmap(-1, {BLOCK})\n"
        f"for _ in range({GROUP_READS}): os.readv(disk, [room])\n"
        "print(time.process_time() - begun, flush=True)\n"
        "time.sleep(1.3)\n"
    )
    return float(run(sys.executable, "-c", script, str(BURN_S), device, *groups))


def work(device: str) -> list[dict[str, int]]:
    """Have a process read, and tell its own counters at two moments; it lives on meanwhile."""
    script = f"""
import json, os, threading, time
def told():
    io = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
    sums = dict(cpu=0, runq=0, voluntary=0, involuntary=0)
    for task in os.listdir("/proc/self/task"):
        cpu, runq, _ = open(f"/proc/self/task/{{task}}/schedstat").read().split()
        lines = open(f"/proc/self/task/{{task}}/status").read().splitlines()
        sums["cpu"] += int(cpu)
        sums["runq"] += int(runq)
        sums["voluntary"] += int(lines[-2].split()[1])
        sums["involuntary"] += int(lines[-1].split()[1])
    io = {{name: int(value) for name, value in io.items()}}
    return dict(pid=os.getpid(), at_ns=time.time_ns(), **sums, **io)
def reads():
    handle = os.open("/dev/zero", os.O_RDONLY)
    for _ in range({WORK_READS}): os.read(handle, {WORK_BYTES})
    buffer = open({device!r}, "rb", buffering=0)
    os.posix_fadvise(buffer.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    buffer.read(1 << 20)
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
stay = threading.Event()
threads = [threading.Thread(target=lambda: (reads(), stay.wait())) for _ in range(3)]
for one in threads: one.start()
time.sleep(2)
first = told()
time.sleep(3.1)
print(json.dumps([first, told()]), flush=True)
stay.set()
for one in threads: one.join()
"""
    return json.loads(run(sys.executable, "-c", script))


def snmp(namespace: str) -> dict[str, int]:
    """Return nstat's counters of a namespace."""
    words = ("ip", "netns", "exec", namespace, "nstat", "-a", "-s", "-z", "--json")
    return {k: int(v) for k, v in json.loads(run(*words))["kernel"].items()}


def connections(namespace: str) -> dict[str, dict[str, int]]:
    """Open, be refused and send datagrams in a namespace; return nstat before and after."""
    script = """
import socket
server = socket.create_server(("127.0.0.1", 0))
for _ in range(29):
    client = socket.create_connection(server.getsockname())
    server.accept()[0].close()
    client.close()
refused = socket.create_server(("127.0.0.1", 0))
port = refused.getsockname()
refused.close()
for _ in range(13):
    with socket.socket() as one:
        assert one.connect_ex(port)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    for _ in range(31):
        one.sendto(b"x", ("127.0.0.1", 9))
"""
    before = snmp(namespace)
    run("ip", "netns", "exec", namespace, sys.executable, "-c", script)
    time.sleep(0.3)
    return {"before": before, "after": snmp(namespace)}


def main() -> None:
    device, namespace, *groups = sys.argv[1:]
    time.sleep(1.2)
    told = {
        "cpu_s": burn(groups, device),
        "disk": disk(device),
        "process": work(device),
        "connections": connections(namespace),
        "interface": interface(namespace),
    }
    # Each subject has its last look.
    time.sleep(1.5)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
