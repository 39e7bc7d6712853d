"""Tables of files and the page cache."""

from __future__ import annotations

from stackledger.schema.model import TS, Column, Table, ns, table

_SECOND = ns("ts_ns", f"end of the second: {TS}")
_INTERVAL = ns("interval_ns", "length of the interval")
_DEV = "file system's kernel dev_t: major << 20 | minor"


def _pages(name: str, meaning: str) -> Column:
    return Column(name, "int64", "pages", meaning)


TABLES: tuple[Table, ...] = (
    table(
        "page_cache",
        "one row per second, process, file and thread name",
        _SECOND,
        _INTERVAL,
        Column("pid", "int32", "", "process that did it; kernel threads have numbers too"),
        Column("dev", "int32", "", f"{_DEV}; 0 where only the inode is known"),
        Column("inode", "int64", "", "file; a disk's own cache has the disk's dev_t here"),
        Column("comm", "string", "", "name of the thread"),
        Column("events", "int64", "events", "kernel events behind this row"),
        _pages("lookups", "asked for: by reads each in their range, by a page fault one"),
        _pages("misses", "asked for and not there: a read or a fault waited for them"),
        _pages("added", "brought in, for whatever reason"),
        _pages("allocated", "of added: for a write, not read from the disk"),
        _pages("dirtied", "made dirty"),
        _pages("removed", "gone: reclaimed, truncated, invalidated or their file deleted"),
        Column("faults", "int64", "events", "page faults that had to look a page up"),
        Column("maps", "int64", "events", "page faults answered by mapping cached pages around"),
    ),
    table(
        "file_open",
        "one row per call that opened a file, or failed to",
        ns("ts_ns", f"when the call returned: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("tid", "int32", "", "thread"),
        Column("comm", "string", "", "name of the thread"),
        Column("fd", "int32", "", "descriptor, -1 where the call failed"),
        Column("error", "int32", "errno", "0 or a negative errno"),
        Column("flags", "int64", "", "O_… flags of the call"),
        Column("created", "bool", "", "the file was not there before"),
        Column("dev", "int32", "", f"{_DEV}; 0 where the call failed"),
        Column("inode", "int64", "", "file; 0 where the call failed"),
        ns("dur_ns", "time in the call"),
        Column("path", "string", "", "as the program gave it, cut after 191 or 63 bytes"),
    ),
    table(
        "fsync",
        "one row per fsync or fdatasync",
        ns("ts_ns", f"when the call returned: {TS}"),
        Column("pid", "int32", "", "process"),
        Column("tid", "int32", "", "thread"),
        Column("comm", "string", "", "name of the thread"),
        Column("dev", "int32", "", f"{_DEV}; 0 for a wrong descriptor"),
        Column("inode", "int64", "", "file; 0 for a wrong descriptor"),
        Column("datasync", "bool", "", "fdatasync: the file's times are left out"),
        ns("dur_ns", "time in the call"),
        Column("error", "int32", "errno", "0 or a negative errno"),
    ),
    table(
        "journal",
        "one row per commit of a journal",
        ns("ts_ns", f"end of the commit: {TS}"),
        Column("dev", "int32", "", _DEV),
        Column("transaction", "int64", "", "number of the transaction"),
        ns("dur_ns", "from the beginning of the commit to its end: the three that follow"),
        ns("locking_ns", "waiting for those who still wrote to it"),
        ns("flushing_ns", "handing over the files' data that have to be there before"),
        ns("logging_ns", "until the data, the journal and its commit record were written"),
        Column("handles", "int64", "events", "operations in it"),
        Column("blocks", "int64", "blocks", "changed blocks in it"),
        Column("blocks_logged", "int64", "blocks", "written to the journal"),
    ),
    table(
        "writeback",
        "one row per second, process, file and thread name that wrote dirty pages",
        _SECOND,
        _INTERVAL,
        Column("pid", "int32", "", "who wrote: a process in fsync, or a kernel thread"),
        Column("dev", "int32", "", f"{_DEV}; 0 where only the inode is known"),
        Column("inode", "int64", "", "file; a disk's own cache has the disk's dev_t here"),
        Column("comm", "string", "", "name of the thread"),
        Column("calls", "int64", "events", "times that it wrote"),
        _pages("pages", "handed to the disk"),
        Column("errors", "int64", "events", "calls that failed"),
        ns("total_ns", "time to hand them over; the disk may take longer"),
        ns("max_ns", "the longest"),
    ),
)
