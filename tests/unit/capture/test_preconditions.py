"""The pure readings behind `doctor`: files of the kernel and words of bpftrace."""

from __future__ import annotations

import pytest

from stackledger.capture import preconditions
from stackledger.capture.preconditions import Finding


@pytest.mark.parametrize(
    ("mounts", "place"),
    [
        ("tracefs /sys/kernel/tracing tracefs rw 0 0\n", "/sys/kernel/tracing"),
        ("none /sys/kernel/debug/tracing tracefs rw 0 0\n", "/sys/kernel/debug/tracing"),
        ("tracefs /mnt/tracing tracefs rw 0 0\n", None),
        ("tmpfs /sys/kernel/tracing tmpfs rw 0 0\n", None),
        ("", None),
    ],
)
def test_tracefs_counts_only_where_bpftrace_looks(mounts, place):
    assert preconditions.tracefs_mount(mounts) == place


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[none] integrity confidentiality\n", "none"),
        ("none [integrity] confidentiality\n", "integrity"),
        ("none integrity [confidentiality]\n", "confidentiality"),
    ],
)
def test_lockdown_mode(text, mode):
    assert preconditions.lockdown_mode(text) == mode


def test_effective_capabilities():
    status = "CapPrm:\t000001ffffffffff\nCapEff:\t000000c000200001\nCapBnd:\t000001ffffffffff\n"
    assert preconditions.effective_capabilities(status) == {0, 21, 38, 39}
    assert preconditions.effective_capabilities("CapEff:\t0000000000000000\n") == set()
    assert preconditions.effective_capabilities("") == set()


def test_os_names_are_tried_from_the_most_specific_on():
    release = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}
    assert preconditions.os_names(release) == ["linuxmint", "ubuntu", "debian"]
    assert preconditions.os_names({}) == [""]


def test_the_first_obstacle_is_the_one_to_remove():
    fine = Finding("BTF", "ok", "there")
    harmless = Finding("lockdown", "unknown", "not shown")
    user = Finding("privileges", "unavailable", "user 7")
    absent = Finding("bpftrace", "unavailable", "not on PATH")
    assert preconditions.obstacle([fine, harmless]) is None
    assert preconditions.obstacle([fine, harmless, user, absent]) is user
