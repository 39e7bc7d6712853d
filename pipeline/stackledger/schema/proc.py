"""Tables of processes that begin, turn into other programs, and end."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

TABLES: tuple[Table, ...] = (
    table(
        "exec",
        "one row per execve or execveat, failed ones too",
        ns("ts_ns", f"when it succeeded or failed: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("tid", "int32", "", "thread, after it"),
        Column("ppid", "int32", "", "parent of the process"),
        Column("uid", "int32", "", "user"),
        Column("comm", "string", "", "name of the thread after it"),
        Column("caller_comm", "string", "", "name of the thread before it, empty if unknown"),
        Column("path", "string", "", "path as it was asked for, at most 63 bytes"),
        Column("error", "int32", "errno", "0 or a negative errno"),
        ns("dur_ns", "time that the system call took"),
        Column("arguments", "int32", "arguments", "how many the program got, NULL if it failed"),
    ),
    table(
        "exec_argument",
        "one row per argument of an exec, at most 16; (pid, ts_ns) names the exec",
        ns("ts_ns", f"ts_ns of the exec: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("position", "int32", "", "0 is the program's own name"),
        Column("argument", "string", "", "normalised; with --payload at most 63 bytes"),
    ),
    table(
        "process_exit",
        "one row per process that ended",
        ns("ts_ns", f"when its last thread ended: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("ppid", "int32", "", "its parent"),
        Column("uid", "int32", "", "user"),
        Column("comm", "string", "", "name of its main thread"),
        ns("start_ts_ns", f"start of the process: {TS}"),
        ns("age_ns", "from start to end"),
        Column("exit_code", "int16", "", "0 to 255, 0 where a signal ended it"),
        Column("signal", "int16", "", "signal that ended it, else 0"),
        Column("core_dumped", "bool", "", "it left a core dump"),
        ns("cpu_ns", "CPU time of all its threads"),
        Column("max_rss_bytes", "int64", "bytes", "the most memory that was resident"),
    ),
    table(
        "process_fork",
        "one row per new process or thread",
        ns("ts_ns", f"when it was made: {TS}"),
        Column("pid", "int32", "", "process that made it"),
        Column("tid", "int32", "", "thread that made it"),
        Column("comm", "string", "", "name of that thread"),
        Column("child_tid", "int32", "", "the new thread; of a new process also its pid"),
        Column("thread", "bool", "", "true: a thread of the same process; false: a process"),
        Column("clone_flags", "int64", "bits", "flags of clone(2)"),
    ),
)
