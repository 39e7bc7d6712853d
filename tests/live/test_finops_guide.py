"""Every command of docs/guides/finops.md, in order, on a live capture: each answers its question.

The stack is the labs': PostgreSQL on a disk held at 200 reads a second, and a hop between
gateway and sidecar that loses 2 % of the requests. Load runs while a command records; the
change that the guide decides for, a disk twice as fast, is made before the second recording.
"""

from __future__ import annotations

import csv
import ctypes
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from guides import Answer, answer, callers, commands, put_program

from stackledger.labs import load, stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.live

COMMANDS = commands("finops.md")

ORDERS = "GET /api/orders/{id}"
LOAD = (f"8:{stack.ORDERS_PATH}", f"1:{stack.SEARCH_PATH}", "1:/api/busy")
CALLERS = 16
# Reads per second before and after the change; the guide's model has a volume of the former.
IOPS = {"before": 200, "after": 400}
LOST = "meta length > 60 numgen random mod 100 < 2 drop"
CLONE_NEWNET = 0x40000000


@contextmanager
def _lossy_network() -> Iterator[None]:
    """Be in a network of our own: what is filtered there is nobody else's, and it goes with us."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            _run("ip", "link", "set", "lo", "up")
            _run("nft", "add table inet guide")
            _run("nft", "add chain inet guide input { type filter hook input priority 0; }")
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give where the commands run, with `stackledger` on their path."""
    folder = tmp_path_factory.mktemp("guide")
    put_program(folder)
    return folder


@pytest.fixture(scope="module")
def answers(stack_programs: None, network_programs: None, folder: Path) -> Mapping[str, Answer]:
    """Return what each command of the guide did."""
    found = {}
    with _lossy_network(), stack.stack(throttle_read_iops=IOPS["before"]) as running:
        _run("nft", f"add rule inet guide input tcp dport {running.ports['sidecar']} {LOST}")
        load.apart(running.url, [stack.ORDERS_PATH], requests=100, connections=CALLERS)
        for command in COMMANDS:
            if not command.startswith("stackledger capture"):
                found[command] = answer(command, folder)
                continue
            (name,) = re.findall(r"--name (\w+)", command)
            running.set_read_iops(IOPS[name])
            running.drop_cache()
            with callers(running, LOAD, CALLERS):
                found[command] = answer(command, folder)
    return found


def _of(answers: Mapping[str, Answer], *words: str) -> Answer:
    """Return the answer of the one command in which all of these words are."""
    (command,) = [one for one in answers if all(word in one for word in words)]
    assert answers[command].code == 0, answers[command].err
    return answers[command]


def _ms(table: str, option: str) -> float:
    """Return an option's mean in a what-if's table."""
    (mean,) = re.findall(rf"^{re.escape(option)} +([\d.]+) ", table, re.MULTILINE)
    return float(mean)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works(answers, command):
    assert (answers[command].code, command) == (0, command), answers[command].err


def test_nothing_is_cut_off_at_80_columns(answers):
    # Rows for programs are as long as they are.
    long = {
        command: line
        for command, answer in answers.items()
        for line in answer.out.splitlines()
        if len(line) > 80 and " query " not in command and "capture=" not in line
    }
    assert long == {}


def test_the_first_model_is_valid_and_has_the_volume_of_today(answers):
    told = _of(answers, "model check").words
    assert "mine.toml: valid" in told
    assert "limits: 200 IOPS" in told


def test_cost_says_how_much_of_an_order_is_disk(answers):
    told = answers["stackledger cost before --model mine.toml"].words
    amounts = re.search(r"disk I/O \$([\d.]+) of \$([\d.]+) per .*: GET /api/orders/{id}", told)
    assert amounts, told
    disk, loaded = map(float, amounts.groups())
    assert 0.3 * loaded < disk < loaded
    assert "difference $0.00 " in told


def test_cost_by_statement_names_the_query_that_reads_the_disk(answers):
    told = _of(answers, "--by statement").words
    assert re.search(
        r"disk I/O \$0\.\d*[1-9]\d* of .*: SELECT id, customer, note FROM orders", told
    )


def test_the_endpoints_that_burn_the_most_cpu(answers):
    rows = _of(answers, "query endpoints").rows
    burnt = [int(row["cpu_ns"]) for row in rows]
    assert burnt == sorted(burnt, reverse=True)
    assert len(rows) <= 10
    # A request in ten, of 10 ms of CPU: beside the orders they are many times as dear.
    assert {row["endpoint"] for row in rows[:2]} == {"GET /api/busy", ORDERS}
    each = {row["endpoint"]: int(row["cpu_ns"]) / int(row["requests"]) for row in rows}
    assert each["GET /api/busy"] > max(10e6, 3 * each[ORDERS])


def test_a_faster_disk_and_not_more_cpus(answers):
    told = _of(answers, "--cpus", "--disk").out
    assert told.startswith("Take disk io2,iops=400: mean falls from")
    today = _ms(told, "today")
    assert _ms(told, "disk io2,iops=400") < 0.75 * today
    assert _ms(told, "4 CPUs") == pytest.approx(today, rel=0.1)


def test_premium_disk_is_worth_it(answers):
    told = _of(answers, "--disk tiers").words
    assert told.startswith("Take disk gp3: mean falls from")
    assert re.search(r"disk st1 .* misses", told)


def test_a_replica_helps_and_of_memory_too_little_was_seen(answers):
    told = _of(answers, "--replica", "--memory-gib")
    assert told.out.startswith("Take replica 0.5: mean falls from")
    assert _ms(told.out, "replica 0.5") < 0.75 * _ms(told.out, "today")
    # Eight seconds cannot tell what gigabytes would hold.
    assert "refused: 64 GiB memory: the capture tells of a cache of at most" in told.words
    sizes = [
        row["size"] for row in _of(answers, "query missratio").rows if row["cgroup"] == "(host)"
    ]
    assert sizes == ["1/4", "1/2", "today", "x 2", "x 4", "x 8"]


def test_what_is_sent_again_has_a_price_and_the_slowest_requests_wait_for_it(answers):
    rows = {row["comm"]: row for row in _of(answers, "query retransmits").rows}
    assert float(rows["nginx"]["retransmit_share"]) > 0.001
    told = _of(answers, "--no-retransmits").words
    price = r"([\d.]+)% of segments are sent again: .* ([\d.]+) of the nodes' ([\d.]+) USD"
    sent_again, part, nodes = map(float, re.search(price, told).groups())
    assert part / nodes * 100 == pytest.approx(sent_again, rel=0.1)
    assert part > 0
    told = _of(answers, "attribute before").words
    assert re.search(r"At p99, .* is gateway nginx on the network\.", told)


def test_the_change_did_what_was_foreseen(answers):
    told = _of(answers, "stackledger validate").out
    print(told)
    times = re.findall(r"([\d.]+) ms\b", told.partition("\nmean ")[2].partition("\n")[0])
    before, predicted, measured = float(times[0]), float(times[1]), float(times[-1])
    assert predicted == pytest.approx(measured, rel=0.25)
    assert measured < before


def test_what_is_handed_on_is_whole(answers, folder):
    assert "every rule of FOCUS" in _of(answers, "export --check").words
    with (folder / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert sum(float(line["share_of_bill"]) for line in lines) == pytest.approx(1, abs=1e-4)
    page = (folder / "before.html").read_text()
    assert "disk io2,iops=400" in page
    assert "replica 0.5" in page
    proof = (folder / "after.html").read_text()
    assert "io2,iops=400 came true" in proof or "io2,iops=400 missed" in proof
