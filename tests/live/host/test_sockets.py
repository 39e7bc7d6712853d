"""Sockets as the kernel lists them against `ss -tinmO`: equal, in a namespace of our own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stackledger.capture.counters.namespaces import Namespaces
from stackledger.capture.sockets import Sockets

pytestmark = pytest.mark.live

# Connections at rest, one with bytes that nobody reads and one whose peer has no more room.
SCRIPT = """
import socket, time
server = socket.create_server(("127.0.0.1", 0), backlog=17)
pairs = []
for number in range(23):
    client = socket.create_connection(server.getsockname())
    pairs.append((client, server.accept()[0]))
    client.sendall(b"x" * 100 * number)
    if number:
        pairs[-1][1].recv(100 * number, socket.MSG_WAITALL)
waiting = [socket.create_connection(server.getsockname()) for _ in range(5)]
pairs[3][0].sendall(b"y" * 4321)
full = pairs[7][0]
full.setblocking(False)
try:
    while True:
        full.send(b"z" * 65536)
except BlockingIOError:
    pass
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
for _ in range(7):
    udp.sendto(b"u" * 100, udp.getsockname())
time.sleep(1)
print("ready", flush=True)
time.sleep(600)
"""
SKMEM = re.compile(r"skmem:\(r(\d+),rb(\d+),t\d+,tb(\d+),f\d+,w(\d+),o\d+,bl\d+,d(\d+)\)")


def _ss(namespace: str) -> dict[tuple[int, int], dict[str, object]]:
    """Return what `ss` says of each TCP socket, by its local and remote port."""
    words = ["ip", "netns", "exec", namespace, "ss", "-tainmOHe"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        state, recv_q, send_q, local, remote = line.split()[:5]
        if state == "TIME-WAIT":  # nobody's any more, and not listed by us
            continue
        remote_port = remote.rpartition(":")[2]
        key = int(local.rpartition(":")[2]), int(remote_port) if remote_port != "*" else 0
        told: dict[str, object] = {"state": state, "recv_q": int(recv_q), "send_q": int(send_q)}
        rmem, rlimit, wlimit, wmem, drops = map(int, SKMEM.findall(line)[0])
        told |= {"rmem": rmem, "rlimit": rlimit, "wmem": wmem, "wlimit": wlimit, "drops": drops}
        told |= dict(re.findall(r" (\w+):(\S+)", line))
        told["inode"] = int(str(told.get("ino", 0)))
        found[key] = told
    return found


@pytest.fixture
def busy(namespace):
    """Give the pid of a process whose sockets are in the namespace, and at rest."""
    words = ["ip", "netns", "exec", namespace, sys.executable, "-c", SCRIPT]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


def _sample(pid):
    namespaces = Namespaces()
    namespaces.look()
    sampler = Sockets(namespaces)
    try:
        sampler.sample(1, 0, [pid], [pid])
        sampler._due_ns = 0
        rows = sampler.sample(2, 0, [pid], [pid])
    finally:
        sampler.close()
    return rows.to_pylist()


def test_every_socket_is_as_ss_lists_it(namespace, busy):
    told = _ss(namespace)
    netns = Path(f"/run/netns/{namespace}").stat().st_ino
    rows = [row for row in _sample(busy) if row["netns"] == netns]
    tcp = {(row["local_port"], row["remote_port"]): row for row in rows if row["protocol"] == "tcp"}
    assert set(tcp) == set(told)
    assert len(tcp) == 1 + 2 * (23 + 5)
    names = {"ESTABLISHED": "ESTAB"}
    for key, row in tcp.items():
        ss = told[key]
        assert names.get(row["state"], row["state"]) == ss["state"]
        listening = row["state"] == "LISTEN"
        queues = (
            ("backlog", "backlog_limit")
            if listening
            else (
                "recv_queue_bytes",
                "send_queue_bytes",
            )
        )
        assert [row[name] for name in queues] == [ss["recv_q"], ss["send_q"]]
        assert (row["rmem_bytes"], row["rmem_limit_bytes"]) == (ss["rmem"], ss["rlimit"])
        assert (row["wmem_bytes"], row["wmem_limit_bytes"]) == (ss["wmem"], ss["wlimit"])
        assert row["drops"] == ss["drops"]
        assert row["inode"] == ss["inode"]
        if listening:
            continue
        assert row["cwnd"] == int(ss["cwnd"])
        assert row["mss"] == int(ss["mss"])
        assert row["sent_bytes"] == int(ss.get("bytes_sent", 0))
        assert row["acked_bytes"] == int(ss.get("bytes_acked", 0))
        assert row["received_bytes"] == int(ss.get("bytes_received", 0))
        assert row["segments_sent"] == int(ss.get("segs_out", 0))
        assert row["unsent_bytes"] == int(ss.get("notsent", 0))
        rtt, rttvar = ss["rtt"].split("/")
        assert row["rtt_ns"] == pytest.approx(float(rtt) * 1e6, abs=1)
        assert row["rttvar_ns"] == pytest.approx(float(rttvar) * 1e6, abs=1)
        assert row["min_rtt_ns"] == pytest.approx(float(ss["minrtt"]) * 1e6, abs=1)
        assert row["rto_ns"] == pytest.approx(float(ss["rto"]) * 1e6, abs=1)
        assert row["ssthresh"] == (int(ss["ssthresh"]) if "ssthresh" in ss else None)


def test_what_fills_is_seen_to_fill(namespace, busy):
    netns = Path(f"/run/netns/{namespace}").stat().st_ino
    rows = [row for row in _sample(busy) if row["netns"] == netns]
    (listener,) = [row for row in rows if row["state"] == "LISTEN"]
    assert (listener["backlog"], listener["backlog_limit"], listener["pid"]) == (5, 17, busy)
    assert len([row for row in rows if row["recv_queue_bytes"] == 4321]) == 1
    fullest = max(
        row["wmem_bytes"] / row["wmem_limit_bytes"] for row in rows if row["wmem_limit_bytes"]
    )
    assert fullest > 0.9
    (udp,) = [row for row in rows if row["protocol"] == "udp"]
    assert udp["recv_queue_bytes"] == udp["rmem_bytes"] >= 700
    mine = [row for row in rows if row["inode"] and row["state"] != "CLOSE"]
    assert {row["pid"] for row in mine} == {busy}
    # Not accepted yet: nobody has those open.
    assert len([row for row in rows if row["inode"] == 0]) == 5


def test_a_namespace_that_goes_away_takes_its_rows_with_it(namespace):
    name = f"{namespace}x"
    subprocess.run(["ip", "netns", "add", name], check=True)
    namespaces = Namespaces()
    sampler = Sockets(namespaces)
    try:
        with subprocess.Popen(["ip", "netns", "exec", name, "sleep", "60"]) as sleeper:
            time.sleep(0.3)
            namespaces.look()
            number = Path(f"/run/netns/{name}").stat().st_ino
            assert number in namespaces.alive
            sampler.sample(1, 0, [], [])
            assert number in sampler._channels
            sleeper.kill()
        sampler._due_ns = 0
        subprocess.run(["ip", "netns", "del", name], check=True)
        assert sampler.sample(2, 0, [], []) is not None
        for _ in range(5):
            namespaces.look()
        sampler._due_ns = 0
        assert sampler.sample(3, 0, [], []) is not None
        assert set(sampler._channels) == set(namespaces.alive)
        assert number not in sampler._channels
    finally:
        sampler.close()
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
