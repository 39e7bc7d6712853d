"""What goes wrong with a capture, and how it has to end then."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from beds import Bed, Disk, Memory
from capturing import Capturing

from stackledger.labs.throttle import throttle

Harm = Callable[[Capturing, Bed, random.Random], None]
# A bpftrace that says nothing is noticed after ten unanswered questions, one a second.
_NOTICED_S = 40.0
_HOG_BYTES = 64 << 20
_GROUP_BYTES = 16 << 20
_HOG = "data = bytearray({size}); print(len(data[::4096]))"


@dataclass(frozen=True, slots=True)
class Fault:
    """`harm` happens to a capture that has been recording for up to `latest_s`, or attaching."""

    name: str
    harm: Harm
    # The manifest's state afterwards; "recording" is one that was cut off.
    states: frozenset[str]
    codes: frozenset[int]
    bed: type[Bed] = Bed
    latest_s: float = 4.0
    while_attaching: bool = False
    goes_on: bool = False  # until it is asked to end, with `exec` unharmed
    whole: bool = False  # every event until the fault is there
    two: bool = False  # beside another capture, which is unharmed


def _signal(number: int) -> Harm:
    def send(capturing: Capturing, _bed: Bed, _random: random.Random) -> None:
        capturing.process.send_signal(number)

    return send


def _kill_all(capturing: Capturing, _bed: Bed, _random: random.Random) -> None:
    recording = psutil.Process(capturing.process.pid)
    for process in (recording, *recording.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _kill_while_finishing(capturing: Capturing, _bed: Bed, rng: random.Random) -> None:
    capturing.process.send_signal(signal.SIGINT)
    time.sleep(rng.uniform(0, 1.0))
    capturing.process.kill()


def _exhaust_memory(capturing: Capturing, bed: Bed, _random: random.Random) -> None:
    """Put the recording into a full memory cgroup: the kernel kills it first."""
    pid = capturing.process.pid
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    with throttle(bed.at) as limits:
        limits.set_memory(_GROUP_BYTES)
        limits.add(lambda: [pid])
        words = (sys.executable, "-c", f"input(); {_HOG.format(size=_HOG_BYTES)}")
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as hog:
            limits.add(lambda: [hog.pid])
            hog.communicate("\n")
        assert hog.returncode == -signal.SIGKILL
        capturing.wait()


def _refuse_memory(capturing: Capturing, _bed: Bed, _random: random.Random) -> None:
    """Let it have no more address space than it has; what needs none goes on."""
    pid = capturing.process.pid
    held = psutil.Process(pid).memory_info().vms
    resource.prlimit(pid, resource.RLIMIT_AS, (held, held))
    time.sleep(3.0)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)


def _fill(_capturing: Capturing, bed: Bed, _random: random.Random) -> None:
    assert isinstance(bed, Memory)
    bed.fill()


def _fail(_capturing: Capturing, bed: Bed, _random: random.Random) -> None:
    assert isinstance(bed, Disk)
    bed.fail()


def _cut_power(capturing: Capturing, bed: Bed, rng: random.Random) -> None:
    assert isinstance(bed, Disk)
    bed.cut_power()
    _kill_all(capturing, bed, rng)


def _kill_tracer(capturing: Capturing, _bed: Bed, _random: random.Random) -> None:
    capturing.tracer("file_open").kill()
    _until_said(capturing, "file_open")


def _stop_tracer(capturing: Capturing, _bed: Bed, _random: random.Random) -> None:
    capturing.tracer("file_open").send_signal(signal.SIGSTOP)
    _until_said(capturing, "file_open")


def _until_said(capturing: Capturing, words: str) -> None:
    deadline = time.monotonic() + _NOTICED_S
    while not any(words in line for line in capturing.said):
        assert time.monotonic() < deadline, f"nobody noticed: {capturing.said}"
        time.sleep(0.05)


_CUT_OFF, _COMPLETE = frozenset({"recording"}), frozenset({"complete"})
# glibc's own end of a program that has no memory left for a thread, and C++'s.
_ABORTED = frozenset({127, -6})
_KILLED, _FINE, _ERROR = frozenset({-9}), frozenset({0}), frozenset({1})

FAULTS = (
    Fault("SIGKILL", _signal(9), _CUT_OFF, _KILLED),
    Fault("SIGKILL of it and every bpftrace", _kill_all, _CUT_OFF, _KILLED),
    Fault(
        "SIGKILL while probes attach",
        _signal(9),
        _CUT_OFF,
        _KILLED,
        latest_s=2.5,
        while_attaching=True,
    ),
    Fault(
        "SIGINT, and SIGKILL while it finishes",
        _kill_while_finishing,
        _CUT_OFF | _COMPLETE,
        _KILLED | _FINE,
    ),
    Fault("SIGKILL of one of two captures", _signal(9), _CUT_OFF, _KILLED, two=True),
    Fault("SIGTERM", _signal(15), _COMPLETE, _FINE, whole=True),
    Fault("SIGHUP", _signal(1), _COMPLETE, _FINE, whole=True),
    Fault("out of memory: killed in a cgroup", _exhaust_memory, _CUT_OFF, _KILLED),
    Fault(
        "out of memory: refused (RLIMIT_AS)",
        _refuse_memory,
        _CUT_OFF | _COMPLETE | {"failed"},
        _FINE | _ERROR | _ABORTED,
    ),
    Fault("disk full", _fill, _CUT_OFF | {"failed"}, _ERROR, bed=Memory),
    Fault("disk fails, read-only from then on", _fail, _CUT_OFF, _ERROR, bed=Disk),
    # Later than the others: the host's counters are written every four seconds.
    Fault("power cut", _cut_power, _CUT_OFF, _KILLED, bed=Disk, latest_s=9.5),
    Fault("SIGKILL of one bpftrace", _kill_tracer, frozenset({"failed"}), _ERROR, goes_on=True),
    Fault("SIGSTOP of one bpftrace", _stop_tracer, frozenset({"failed"}), _ERROR, goes_on=True),
)
