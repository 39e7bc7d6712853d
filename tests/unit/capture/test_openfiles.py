"""Open and mapped files, as /proc tells them of this very process."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import pytest

from stackledger.capture import openfiles
from stackledger.capture.clock import anchor

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def _mine(rows: pa.Table, inode: int) -> list[tuple[int, int, str]]:
    return [
        (row["fd"], row["dev"], row["path"])
        for row in rows.to_pylist()
        if row["pid"] == os.getpid() and row["inode"] == inode
    ]


def test_what_is_open_or_mapped_has_its_path(tmp_path: Path) -> None:
    strange = tmp_path / b"a b\n\xff,\"'".decode("utf-8", "surrogateescape")
    strange.write_bytes(b"x" * 4096)
    status = strange.stat()
    dev = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    files = openfiles.OpenFiles()
    with strange.open("rb") as file:
        rows = _mine(files.look(anchor()), status.st_ino)
        assert rows == [(file.fileno(), dev, f"{tmp_path}/a b\n\ufffd,\"'")]
        # Told once, as long as it is open.
        assert _mine(files.look(anchor()), status.st_ino) == []
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped:  # which keeps a descriptor of its own
        rows = _mine(files.look(anchor()), status.st_ino)
        ((_, of_mapped, path),) = [row for row in rows if row[0] == openfiles.MAPPED]
        assert (len(rows), of_mapped) == (2, dev)
        assert path.startswith(f"{tmp_path}/a b\\012\ufffd")  # as the kernel writes it there
        strange.unlink()
        rows = _mine(files.look(anchor()), status.st_ino)
        assert [path.endswith(" (deleted)") for _, _, path in rows] == [True, True]
    assert _mine(files.look(anchor()), status.st_ino) == []


def test_folders_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        rows = openfiles.OpenFiles().look(anchor()).to_pylist()
    finally:
        for fd in (reader, writer, folder):
            os.close(fd)
    assert not {reader, writer, folder} & {
        row["fd"] for row in rows if row["pid"] == os.getpid() and row["fd"] >= 0
    }


def test_many_are_cut_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openfiles, "_MOST", 3)
    files = openfiles.OpenFiles()
    assert files.look(anchor()).num_rows == 3
    files.look(anchor())
    assert capsys.readouterr().err.count("more than 3 files are open") == 1


@pytest.mark.parametrize(
    ("tables", "wanted"), [(("block_io", "process"), False), (("block_io", "fsync"), True)]
)
def test_only_tables_with_inodes_want_them(tables: tuple[str, ...], wanted: bool) -> None:
    assert openfiles.wanted(tables) is wanted
