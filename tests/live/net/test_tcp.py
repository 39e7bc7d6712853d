"""TCP connections, retransmissions and resets against the namespace's own counters."""

from __future__ import annotations

import errno
import importlib.util
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stackledger import catalog, resources
from stackledger.analysis.queries import run
from stackledger.capture.program import Filters

if TYPE_CHECKING:
    from collections.abc import Callable

_SPEC = importlib.util.spec_from_file_location("traffic", Path(__file__).with_name("traffic.py"))
assert _SPEC
assert _SPEC.loader
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)
# Of one packet that is sent again: 64 KiB in pieces of a cable's.
MOST_SEGS = 46


def _ended(recorded: Any, namespace: Any, *, accepted: bool) -> Counter[tuple[int, str]]:
    column = "local_port" if accepted else "remote_port"
    rows = recorded.rows(
        f"SELECT {column}, ended, count(*) FROM tcp_connection"
        " WHERE netns = $1 AND accepted = $2 AND local_port <> 5000 AND remote_port <> 5000"
        " GROUP BY ALL",
        namespace.inode,
        accepted,
    )
    return Counter({(port, ended): count for port, ended, count in rows})


@pytest.fixture
def silent(cable: Any) -> None:
    """Have some packets vanish: SYNs to one port, long packets to another."""
    cable.here.rule(f"tcp dport {made.SILENT} drop")
    cable.here.rule(f"tcp dport {made.STUCK} meta length > 500 drop")
    cable.there.run("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1")


def test_how_every_connection_opened_and_ended(
    cable: Any, silent: None, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    before = cable.there.counters(), cable.here.counters()
    recorded = traffic("connections", "tcp_connection", bpftrace=bpftrace)
    after = cable.there.counters(), cable.here.counters()
    there, here = (
        {name: now[name] - was[name] for name in now}
        for now, was in zip(after, before, strict=True)
    )

    assert _ended(recorded, cable.there, accepted=False) == {
        (made.PLAIN, "closed"): made.CLOSES[made.PLAIN],
        (made.PLAIN6, "closed"): made.CLOSES[made.PLAIN6],
        (made.FIRST, "closed"): made.CLOSES[made.FIRST],
        (made.CLOSED, "refused"): made.REFUSED,
        (made.PLAIN, "reset_sent"): made.ABORTED,
        (made.UNREAD, "reset_received"): made.UNREAD_CLOSES,
        (made.SILENT, "timed_out"): made.SYN_TIMEOUTS,
        (made.SILENT, "given_up"): made.GIVEN_UP,
        (made.STUCK, "timed_out"): made.STUCK_TIMEOUTS,
    }
    assert _ended(recorded, cable.here, accepted=True) == {
        (made.PLAIN, "closed"): made.CLOSES[made.PLAIN],
        (made.PLAIN6, "closed"): made.CLOSES[made.PLAIN6],
        (made.FIRST, "closed"): made.CLOSES[made.FIRST],
        (made.PLAIN, "reset_received"): made.ABORTED,
        (made.UNREAD, "reset_sent"): made.UNREAD_CLOSES,
        # Its end is still there when the other has given up, and hears of it when it closes.
        (made.STUCK, "reset_received"): made.STUCK_TIMEOUTS,
    }

    # The kernel's own counts, of opens, and of resets sent.
    opened = "SELECT count(*) FROM tcp_connection WHERE netns = $1 AND accepted = $2"
    assert recorded.one(opened, cable.there.inode, False) == there["ActiveOpens"]
    assert recorded.one(opened, cable.here.inode, True) == here["PassiveOpens"]
    resets = "SELECT count(*) FROM tcp_reset WHERE netns = $1 AND sent"
    assert recorded.one(resets, cable.there.inode) == there["OutRsts"]
    assert recorded.one(resets, cable.here.inode) == here["OutRsts"]
    reasons = (
        "SELECT reason, count(*) FROM tcp_reset WHERE netns = $1 AND sent"
        " AND (state <> '' OR local_port = $2) GROUP BY ALL"
    )
    assert dict(recorded.rows(reasons, cable.there.inode, 0)) == {"TCP_STATE": made.ABORTED}
    assert dict(recorded.rows(reasons, cable.here.inode, made.CLOSED)) == {
        "TCP_ABORT_ON_CLOSE": made.UNREAD_CLOSES,
        "NO_SOCKET": made.REFUSED,
    }
    # SYNs that nobody answered are among what is sent again.
    again = "SELECT coalesce(sum(segs), 0) FROM tcp_retransmit WHERE netns = $1"
    found = recorded.one(again, cable.there.inode)
    assert there["RetransSegs"] - recorded.skipped <= found <= there["RetransSegs"]
    own = "SELECT sum(retransmits)::BIGINT FROM tcp_connection WHERE netns = $1"
    assert recorded.one(own, cable.there.inode) == there["RetransSegs"]
    syns = (
        "SELECT count(DISTINCT local_port) FROM tcp_retransmit"
        " WHERE netns = $1 AND state = 'SYN_SENT' AND kind = 'timeout' AND remote_port = $2"
    )
    assert recorded.one(syns, cable.there.inode, made.SILENT) == made.SYN_TIMEOUTS


def test_bytes_owner_and_latency_of_every_connection(
    cable: Any, silent: None, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    recorded = traffic("connections", "tcp_connection", bpftrace=bpftrace)
    for end, namespace in (("asked", cable.there), ("served", cable.here)):
        said = recorded.said[end]
        rows = {
            (row[0], row[1]): row[2:]
            for row in recorded.rows(
                "SELECT local_port, remote_port, send_bytes, recv_bytes, pid, comm, connect_ns,"
                " accept_ns, dur_ns, family, local_addr FROM tcp_connection"
                " WHERE netns = $1 AND ended = 'closed'",
                namespace.inode,
            )
        }
        assert len(said["connections"]) == sum(made.CLOSES.values())
        for one in said["connections"]:
            found = rows[(one["local"], one["remote"])]
            assert found[:2] == (one["sent"], one["received"])
            assert found[2] == said["pid"]
            assert found[3].startswith("python")
            if end == "asked":
                # From SYN to ESTABLISHED is inside of what the caller of connect() waits.
                assert 0 < found[4] < one["connect_ns"]
                assert found[5] is None
            else:
                assert found[4] is None
                assert 0 <= found[5] < found[6]
            six = made.PLAIN6 in (one["local"], one["remote"])
            assert found[7] == (10 if six else 2)
            assert found[8] == (namespace.address6 if six else namespace.address)
    # Nobody but one that was gone before it was accepted is without an owner.
    unknown = (
        "SELECT DISTINCT ended, accept_ns FROM tcp_connection"
        " WHERE netns IN ($1, $2) AND pid IS NULL"
    )
    found = recorded.rows(unknown, cable.there.inode, cable.here.inode)
    assert found in ([], [("reset_received", None)])


def test_retransmitted_segments_are_those_of_the_kernel(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    cable.there.rule("numgen random mod 100 < 5 drop")
    cable.here.rule("numgen random mod 100 < 5 drop")
    before = cable.there.counters(), cable.here.counters()
    recorded = traffic("bulk", "tcp_connection", bpftrace=bpftrace)
    after = cable.there.counters(), cable.here.counters()
    for namespace, now, was, end in zip(
        (cable.there, cable.here), after, before, ("asked", "served"), strict=True
    ):
        counted = now["RetransSegs"] - was["RetransSegs"]
        assert counted > 20
        segs = "SELECT sum(segs)::BIGINT FROM tcp_retransmit WHERE netns = $1"
        found = recorded.one(segs, namespace.inode)
        assert counted - MOST_SEGS * recorded.skipped <= found <= counted
        # Each connection's own count, and whose it is: its SYN-ACKs were nobody's yet.
        rows = recorded.rows(
            "SELECT c.retransmits, coalesce(sum(r.segs), 0), c.pid, list(DISTINCT r.pid)"
            " FROM tcp_connection AS c LEFT JOIN tcp_retransmit AS r"
            " ON r.netns = c.netns AND r.local_port = c.local_port"
            " AND r.remote_port = c.remote_port"
            " WHERE c.netns = $1 AND c.ended <> 'refused'"
            " GROUP BY c.sock, c.ts_ns, c.retransmits, c.pid",
            namespace.inode,
        )
        assert len(rows) == made.BULK_CONNECTIONS
        for own, segs, owner, pids in rows:
            assert own - MOST_SEGS * recorded.skipped <= segs <= own
            assert owner == recorded.said[end]["pid"]
            assert set(pids) <= {owner, None}
        assert max(row[0] for row in rows) > 10
        bytes_sent = (
            "SELECT DISTINCT send_bytes, recv_bytes FROM tcp_connection"
            " WHERE netns = $1 AND ended = 'closed'"
        )
        assert recorded.rows(bytes_sent, namespace.inode) == [(made.BULK_BYTES, made.BULK_BYTES)]


def test_a_retransmission_that_went_unseen_is_told_with_the_next_or_at_the_end(
    cable: Any, silent: None, traffic: Callable[..., Any], bpftrace: Any, tmp_path: Path
) -> None:
    """The kernel fires no tracepoint in a task whose recursion guard is held.

    Here it is held at each connection's every retransmission but the second.
    """
    blind = tmp_path / "probes"
    shutil.copytree(resources.folder("probes"), blind)
    program = blind / "net" / "tcp_connection.bt"
    seen, text = "tracepoint:tcp:tcp_retransmit_skb\n{\n", program.read_text()
    assert text.count(seen) == 1
    own = "((struct tcp_sock *)args->skaddr)->total_retrans"
    program.write_text(text.replace(seen, seen + f"  if ({own} != 2) {{ return; }}\n"))
    before = cable.there.counters()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "folder", {"probes": blind}.__getitem__)
        recorded = traffic("connections", "tcp_connection", bpftrace=bpftrace)
    counted = cable.there.counters()["RetransSegs"] - before["RetransSegs"]
    segs = "SELECT sum(segs)::BIGINT FROM tcp_retransmit WHERE netns = $1"
    assert recorded.one(segs, cable.there.inode) == counted > 10
    # The first came with the second's row, what followed with the connection's end.
    kinds = "SELECT kind = '', min(segs) FROM tcp_retransmit WHERE netns = $1 GROUP BY 1 ORDER BY 1"
    assert recorded.rows(kinds, cable.there.inode) == [(False, 2), (True, 1)]


def test_one_address_used_again_and_again(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    recorded = traffic("reused", "tcp_connection", bpftrace=bpftrace)
    wanted = [
        (one["sent"], one["received"], "reset_sent")
        for one in recorded.said["asked"]["connections"]
    ]
    assert len(wanted) == made.REUSES
    rows = recorded.rows(
        "SELECT send_bytes, recv_bytes, ended FROM tcp_connection"
        " WHERE netns = $1 AND ended <> 'refused' ORDER BY ts_ns",
        cable.there.inode,
    )
    assert rows == wanted
    rows = recorded.rows(
        "SELECT send_bytes, recv_bytes, pid FROM tcp_connection"
        " WHERE netns = $1 AND ended = 'reset_received' ORDER BY ts_ns",
        cable.here.inode,
    )
    pid = recorded.said["served"]["pid"]
    assert rows == [(received, sent, pid) for sent, received, _ended in wanted]


def test_connect_latency_where_the_first_syn_is_lost(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    cable.here.rule(
        f"tcp dport {made.LATE} tcp flags & (syn | ack) == syn"
        f" numgen inc mod {2 * made.LATE_CONNECTIONS} < {made.LATE_CONNECTIONS} drop"
    )
    recorded = traffic("late", "tcp_connection", bpftrace=bpftrace)
    took = {one["local"]: one["connect_ns"] for one in recorded.said["asked"]["connections"]}
    assert len(took) == made.LATE_CONNECTIONS
    rows = recorded.rows(
        "SELECT local_port, connect_ns, retransmits FROM tcp_connection WHERE netns = $1",
        cable.there.inode,
    )
    assert len(rows) == made.LATE_CONNECTIONS
    for port, connect_ns, retransmits in rows:
        assert 10**9 <= connect_ns <= took[port]
        # What is between the two is the wake-up of whoever waits in connect().
        assert took[port] - connect_ns < 20_000_000
        assert retransmits == 1


def test_bytes_are_those_of_ss(cable: Any, traffic: Callable[..., Any], bpftrace: Any) -> None:
    recorded = traffic("held", "tcp_connection", bpftrace=bpftrace)
    ss = dict(word.split(":", 1) for word in recorded.said["asked"]["ss"].split() if ":" in word)
    ((sent, received, segs),) = recorded.rows(
        "SELECT send_bytes, recv_bytes, segs_out FROM tcp_connection"
        " WHERE netns = $1 AND ended = 'closed'",
        cable.there.inode,
    )
    assert sent == int(ss["bytes_sent"]) - int(ss.get("bytes_retrans", 0)) == made.HELD_BYTES
    # There the SYN counts as a byte.
    assert sent == int(ss["bytes_acked"]) - 1
    assert received == int(ss["bytes_received"]) == 2 * made.HELD_BYTES
    assert segs >= int(ss["segs_out"])


def test_connections_that_are_still_open(
    cable: Any, silent: None, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    recorded = traffic("open", "tcp_connection", bpftrace=bpftrace)
    for end, namespace in (("asked", cable.there), ("served", cable.here)):
        rows = recorded.rows(
            "SELECT pid, accepted, send_bytes, dur_ns > 400000000 FROM tcp_connection"
            " WHERE netns = $1 AND ended = 'open' AND $2 IN (local_port, remote_port)",
            namespace.inode,
            made.PLAIN,
        )
        pid = recorded.said[end]["pid"]
        assert rows == [(pid, end == "served", None, True)] * made.OPEN
    waiting = "SELECT connect_ns, remote_addr FROM tcp_connection WHERE remote_port = $1"
    assert recorded.rows(waiting, made.SILENT) == [(None, cable.here.address)]

    # The next capture finds them there: from the samples of sockets it knows whose they are.
    later = traffic("rest", "tcp_connection", bpftrace=bpftrace)
    found = [
        dict(zip(result.columns, row, strict=True))
        for result in [run(later.sql, "tcplife")]
        for row in result.rows
    ]
    mine = [
        one
        for one in found
        if one["netns"] in (cable.here.inode, cable.there.inode)
        and made.PLAIN in (one["local_port"], one["remote_port"])
    ]
    assert len(mine) == 2 * made.OPEN
    assert {(one["ended"], one["comm"][:6], one["send_bytes"], one["dur_ns"]) for one in mine} == {
        ("open", "python", 0, None)
    }
    assert len({one["pid"] for one in mine}) == 2


def test_bytes_by_second_sum_to_what_was_sent(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    recorded = traffic("bulk", "tcp_io", bpftrace=bpftrace)
    for end, namespace in (("asked", cable.there), ("served", cable.here)):
        said = recorded.said[end]
        rows = recorded.rows(
            "SELECT s.local_port, s.remote_port, sum(i.send_bytes), sum(i.recv_bytes),"
            " any_value(i.pid) FROM tcp_io AS i JOIN tcp_socket AS s"
            " ON s.sock = i.sock AND s.ts_ns = i.conn_ts_ns"
            " WHERE s.netns = $1 GROUP BY i.sock, i.conn_ts_ns, s.local_port, s.remote_port",
            namespace.inode,
        )
        wanted = {
            (one["local"], one["remote"], one["sent"], one["received"], said["pid"])
            for one in said["connections"]
        }
        assert set(rows) == wanted
        assert len(rows) == made.BULK_CONNECTIONS


def test_a_filter_keeps_others_out(cable: Any, traffic: Callable[..., Any], bpftrace: Any) -> None:
    cable.here.rule("numgen random mod 100 < 5 drop")
    cable.there.rule("numgen random mod 100 < 5 drop")
    filters = Filters(comms=(made.CLIENT,))
    recorded = traffic("bulk", "tcp_connection", bpftrace=bpftrace, filters=filters)
    assert recorded.one("SELECT count(*) FROM tcp_connection WHERE ended = 'closed'") == (
        made.BULK_CONNECTIONS
    )
    for table in ("tcp_connection", "tcp_retransmit", "tcp_reset"):
        owners = recorded.rows(f"SELECT DISTINCT netns, pid, comm FROM {table}")
        owner = (cable.there.inode, recorded.said["asked"]["pid"], made.CLIENT)
        assert owners == ([] if table == "tcp_reset" and not owners else [owner])


def test_a_client_that_runs_out_of_ports(
    cable: Any, traffic: Callable[..., Any], bpftrace: Any
) -> None:
    first, last = 40_000, 40_000 + made.PORTS - 1
    cable.there.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={first} {last}")
    recorded = traffic("exhausted", "tcp_connection", bpftrace=bpftrace)
    rows = recorded.rows(
        "SELECT ended, error, count(*) FROM tcp_connection"
        " WHERE netns = $1 AND remote_port = $2 AND ended <> 'refused' GROUP BY ALL ORDER BY ALL",
        cable.there.inode,
        made.PLAIN,
    )
    assert rows == [("closed", 0, made.PORTS), ("failed", errno.EADDRNOTAVAIL, made.WITHOUT_PORT)]
