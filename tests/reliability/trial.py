"""One trial: a capture, a fault at a random moment of it, and what is left to answer from."""

from __future__ import annotations

import random
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from beds import Bed, Disk, Memory, bed
from capturing import Capturing, Load, load
from evidence import captures, kept, parts, say, told
from harms import Fault

# Rows are written every second, in the background, and this machine may be busy.
LAST_BATCH_S = 3.0
_EARLIEST_S = 0.2
_AFTER_S = 1.5


@dataclass(slots=True)
class Result:
    """What came of one trial; it held where there is no problem."""

    fault: str
    seed: int
    moment_s: float = 0.0
    events: int = 0
    lost_s: float = 0.0
    set_aside: int = 0
    problems: list[str] = field(default_factory=list)

    def must(self, holds: bool, problem: str) -> None:
        """Note a problem where something does not hold."""
        if not holds:
            self.problems.append(problem)


def run(fault: Fault, seed: int) -> Result:
    """Make one trial; the seed decides the moment."""
    rng = random.Random(seed)
    result = Result(fault.name, seed)
    with ExitStack() as opened:
        at = Path(opened.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        made = opened.enter_context(bed(fault.bed, at))
        events = opened.enter_context(load(at))
        capturing = Capturing(made.store, "struck")
        opened.callback(capturing.end)
        other = Capturing(made.store, "other") if fault.two else None
        if other is not None:
            opened.callback(other.end)
        if fault.while_attaching:
            result.moment_s = rng.uniform(0, fault.latest_s)
        else:
            capturing.wait_until_recording()
            result.moment_s = rng.uniform(_EARLIEST_S, fault.latest_s)
        time.sleep(result.moment_s)
        struck_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        fault.harm(capturing, made, rng)
        if other is not None:
            _unharmed(other, made.store, events, result)
        code = _end(capturing, fault, result)
        result.must(code in fault.codes, f"exit code {code}: {capturing.said}")
        result.must(not any("Traceback" in one for one in capturing.said), f"{capturing.said}")
        result.problems += [f"left behind: {one}" for one in capturing.orphans()]
        result.problems += [f"left behind: {one}" for one in _lists_left()]
        _restore(made, fault, result)
        _judge(fault, made.store, events, struck_ns, result)
    return result


def _end(capturing: Capturing, fault: Fault, result: Result) -> int:
    """Wait for its end; ask for it where the capture goes on, which must be whole."""
    if fault.goes_on:
        time.sleep(_AFTER_S)
        result.must(capturing.process.poll() is None, "it did not go on")
        capturing.process.send_signal(signal.SIGINT)
    return capturing.wait()


def _unharmed(other: Capturing, store: Path, events: Load, result: Result) -> None:
    """Hold that a capture beside the struck one lost nothing."""
    other.wait_until_recording()
    time.sleep(_AFTER_S)
    until_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    other.process.send_signal(signal.SIGINT)
    result.must(other.wait() == 0, f"the other capture: {other.said}")
    (folder,) = [one for one in captures(store) if told(one)["name"] == "other"]
    found = kept(folder, "file_open", events, until_ns)
    result.must(found.events == found.kept > 0 == found.twice, f"the other capture: {found}")
    result.problems += [f"left behind: {one}" for one in other.orphans()]


def _lists_left() -> list[str]:
    """Return launcher.py's short lists whose process is gone, and mounts of them."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    found = [line for line in mounts if "stackledger-events" in line]
    lists = Path("/run").glob("stackledger-events-*")
    gone = [one for one in lists if not Path("/proc", one.name.rpartition("-")[2]).exists()]
    return [*found, *map(str, gone)]


def _restore(made: Bed, fault: Fault, result: Result) -> None:
    """Make the place one that can be written again, as its owner would."""
    if isinstance(made, Memory):
        made.free()
    elif isinstance(made, Disk) and fault.name == "power cut":
        made.power_on()
    elif isinstance(made, Disk):
        refused = say("repair", "struck", "--store", str(made.store))
        told_so = refused.err.startswith("stackledger: error: cannot")
        result.must(refused.code == 1 and told_so, f"repair on a read-only disk: {refused}")
        made.mend()


def _judge(fault: Fault, store: Path, events: Load, struck_ns: int, result: Result) -> None:
    folders = [one for one in captures(store) if told(one)["name"] == "struck"]
    if not folders:
        result.must(fault.while_attaching, "there is no capture")
        return
    (folder,) = folders
    before = told(folder)
    result.must(
        before["state"] in fault.states,
        f"state {before['state']}: {before['error']}",
    )
    rows, broken = parts(folder)
    result.problems += [f"unreadable: {one}" for one in broken]
    _compare(fault, folder, events, struck_ns, result)
    _answers(store, before["state"], rows, result)
    _repair(store, folder, before["state"], rows, result)


def _compare(fault: Fault, folder: Path, events: Load, struck_ns: int, result: Result) -> None:
    for table in ("file_open", "exec"):
        found = kept(folder, table, events, struck_ns)
        result.events += found.events
        result.lost_s = max(result.lost_s, found.lost_s)
        unharmed = fault.whole or (fault.goes_on and table == "exec")
        limit_s = 0.0 if unharmed else LAST_BATCH_S
        result.must(found.lost_s <= limit_s, f"{table}: {found}")
        result.must(found.twice == 0, f"{table}: {found.twice} events are there twice")


def _answers(store: Path, state: str, rows: dict[str, int], result: Result) -> None:
    """Hold that the capture is shown for what it is, and that questions are answered."""
    shown = say("show", "struck", "--store", str(store))
    state_line = next((one for one in shown.out.splitlines() if one.startswith("state")), "")
    result.must(shown.code == 0, f"show: {shown}")
    result.must(("incomplete" in state_line) == (state != "complete"), f"show: {state_line}")
    counted = say("sql", "struck", "SELECT count(*) FROM file_open", "--store", str(store))
    answer = counted.out.splitlines()[-1:]
    result.must(answer == [str(rows.get("file_open", 0))], f"sql: {counted}")


def _repair(store: Path, folder: Path, state: str, rows: dict[str, int], result: Result) -> None:
    """Hold that a repair finishes it, once, and that its account is of the rows."""
    repaired = say("repair", "struck", "--store", str(store))
    finished = (folder / "capture.json").read_bytes()
    again = say("repair", "struck", "--store", str(store))
    result.must(repaired.code == again.code == 0, f"repair: {repaired} {again}")
    result.must((folder / "capture.json").read_bytes() == finished, "repair again changed it")
    result.must(again.err.startswith("nothing to repair: "), f"repair again: {again}")
    result.set_aside = repaired.err.count("set aside: ")
    manifest = told(folder)
    result.must(manifest["state"] == ("complete" if state == "complete" else "failed"), "state")
    for loss in manifest["losses"]:
        have = rows.get(loss["table"], 0)
        result.must(loss["received"] == have, f"{loss['table']}: {have} rows, told {loss}")
        if state == "complete":
            result.must(loss["produced"] == have, f"complete, but {loss}")
    result.must(not list(folder.rglob("*.tmp")), "an unfinished file is left")
    answer = say("query", "losses", "struck", "--store", str(store))
    result.must(answer.code == 0, f"query: {answer}")
