"""Every command of docs/guides/incident.md, in order, during an incident; and of tutorial.md.

The stack is the labs': PostgreSQL's disk is held at 60 reads a second, and is let go before
the second recording. Recordings are shorter than the guide's; `doctor` and `report` have
tests of their own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from guides import Answer, answer, callers, commands, put_program

from stackledger.labs import stack

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.live

INCIDENT, TUTORIAL = commands("incident.md"), commands("tutorial.md")
READ_IOPS = {"incident": 60, "mended": None}
LOAD, CALLERS = (f"8:{stack.ORDERS_PATH}", f"1:{stack.SEARCH_PATH}"), 8
# More than the slow disk can serve, and a fraction of what the stack can.
RATE_HZ, RECORDED_S = 120, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give where the commands run, with `stackledger` on their path."""
    folder = tmp_path_factory.mktemp("guide")
    put_program(folder)
    return folder


@pytest.fixture(scope="module")
def answers(stack_programs: None, folder: Path) -> Mapping[str, Answer]:
    """Return what each command of the incident's guide did."""
    found = {}
    with stack.stack(throttle_read_iops=READ_IOPS["incident"]) as running:
        assert running.limit is not None
        disk = Path(f"/sys/dev/block/{running.limit.disk}").resolve().name
        for command in INCIDENT:
            named = re.search(r"capture --for \d+s --name (\w+)", command)
            if named is None:
                # The guide's disk may have another name here.
                found[command] = answer(command.replace("=vda", f"={disk}"), folder)
                continue
            running.set_read_iops(READ_IOPS[named[1]])
            running.drop_cache()
            with callers(running, LOAD, CALLERS, RATE_HZ):
                shorter = re.sub(r"--for \d+s", f"--for {RECORDED_S}s", command)
                found[command] = answer(shorter, folder)
    return found


def _of(answers: Mapping[str, Answer], *words: str) -> Answer:
    """Return the answer of the one command in which all of these words are."""
    (command,) = [one for one in answers if all(word in one for word in words)]
    return answers[command]


@pytest.mark.parametrize("command", INCIDENT)
def test_every_command_works(answers, command):
    assert (answers[command].code, command) == (0, command), answers[command].err


def test_the_limit_is_found_and_more_than_half_of_the_time_is_its(answers):
    told = _of(answers, "stackledger diagnose").words
    found = re.search(
        r"(\d\. CRITICAL: postgres waits for \w+, which is held at a limit) costs ([\d.]+) %", told
    )
    assert found, told
    assert float(found[2]) > 50
    assert "is database postgres waiting for the disk" in _of(answers, "attribute").words


def test_the_disk_itself_was_nearly_idle(answers):
    rows = _of(answers, "query iostat").rows
    # The kernel tells by the tick how long a disk was busy: of a quick one, often nothing.
    assert sum(float(row["util_share"]) for row in rows) / len(rows) < 0.5
    reads_hz = [float(row["r/s"]) for row in rows]
    assert sum(reads_hz) / len(rows) == pytest.approx(READ_IOPS["incident"], rel=0.2)
    assert all(row["lost"] == "0" for row in _of(answers, "query losses").rows)


def test_after_it_was_mended_requests_do_not_wait_for_the_disk(answers):
    told = _of(answers, "stackledger diff").words
    assert re.search(r"Of the mean's -[\d.,]+ m?s, -[\d.,]+ m?s is database postgres", told), told


@pytest.mark.parametrize("command", TUTORIAL)
def test_every_live_command_of_the_tutorial_works(folder, command):
    done = answer(command, folder)
    assert (done.code, command) == (0, command), done.err
    if "opensnoop" in command:
        assert "/etc" in done.out
    if "script_map" in command:
        assert {row["map"] for row in done.rows} == {"@opens"}
        assert all(int(row["value"]) > 0 for row in done.rows)
