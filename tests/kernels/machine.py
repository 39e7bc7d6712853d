"""A virtual machine with another kernel and this host's files: no KVM, no terminal, no image.

The guest's root is the host's, over 9p and read only, below a layer in its memory.
One folder is shared both ways: the job goes in, its results come out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GUEST = Path(__file__).with_name("guest")
FOLDER = Path(os.environ.get("STACKLEDGER_KERNELS_FOLDER", "/var/tmp/stackledger-kernels"))
SHARED = Path("/run/share")  # in the guest
PROGRAMS = ("qemu-system-x86_64", "busybox", "mkfs.ext4")
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# What it takes to see the host's files, in the order of their dependencies.
_MODULES = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "overlay", "ext4", "crc32c_generic")
_FOLDERS = ("bin", "proc", "sys", "dev", "lower", "layer", "root", "modules")
_DISK_BYTES = 4 << 30
# Without what is slow to emulate: copies byte by byte, five levels of pages,
# pages cleared twice, mitigations; and without waiting for quiet CPUs at each attach.
_CPU = "max,la57=off,erms=off,fsrm=off,smap=off,smep=off,pku=off"
_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr init_on_alloc=0"
    " rcupdate.rcu_expedited=1 nowatchdog lsm= audit=0"
)
# As bpftrace in a capture, it dies with whoever started it, however that ended.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.nice(19)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel as `.ci/setup-kernels` leaves it."""

    release: str
    image: Path
    modules: Path


@dataclass(frozen=True)
class Ran:
    """How the job in the guest ended: `status` None where it did not; what it all said."""

    status: int | None
    said: str


def kernel(series: str) -> Kernel | None:
    """Return the newest kernel of a series, `6.1`; None where it was not fetched."""
    found = sorted(FOLDER.glob(f"linux-{series}.*"))
    if not found:
        return None
    place = found[-1]
    release = place.name.removeprefix("linux-")
    return Kernel(release, place / "vmlinuz", place / "modules")


def missing() -> list[str]:
    """Return the programs that the host lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]


def run(
    boots: Kernel,
    argv: Sequence[str],
    share: Path,
    *,
    cwd: Path,
    env: Mapping[str, str],
    limit_s: float,
    needs: Iterable[Path] = (),
) -> Ran:
    """Run a command in a guest as root; `share` is SHARED there.

    `needs`: folders that the command wants to see, wherever on the host they are.
    """
    exports = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    command = f"cd {shlex.quote(str(cwd))} && exec timeout {limit_s:.0f} {shlex.join(argv)}"
    (share / "job").write_text("\n".join([*exports, command, ""]))
    hidden = {folder for folder in needs if folder.is_relative_to("/var/tmp")}
    (share / "folders").write_text("".join(f"{folder}\n" for folder in sorted(hidden)))
    shutil.copy(GUEST / "second", share / "second")
    with tempfile.TemporaryDirectory(prefix="stackledger-vm-", dir="/var/tmp") as name:
        work = Path(name)
        _make_initrd(boots, work)
        _make_disk(work / "disk")
        _boot(boots, work, share, limit_s + 120)
        console = (work / "console").read_text("utf-8", "replace")
    status, log = share / "status", share / "log"
    return Ran(
        int(status.read_text()) if status.exists() else None,
        console + (log.read_text("utf-8", "replace") if log.exists() else ""),
    )


def _boot(boots: Kernel, work: Path, share: Path, limit_s: float) -> None:
    shares = (("host", "/", True), ("share", share, False), ("modules", boots.modules, True))
    argv = [
        *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"),
        *("-cpu", _CPU, "-smp", "2", "-m", "6G"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{work}/console"),
        *("-kernel", str(boots.image), "-initrd", f"{work}/initrd", "-append", _KERNEL_LINE),
        *("-drive", f"if=virtio,file={work}/disk,format=raw,cache=unsafe"),
    ]
    for tag, path, readonly in shares:
        what = f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"
        argv += ["-virtfs", what + (",readonly=on" if readonly else "")]
    launched = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv]
    with (
        (work / "console").open("ab") as console,
        subprocess.Popen(
            launched,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**os.environ, "PATH": _PATH},
        ) as qemu,
    ):
        try:
            qemu.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            qemu.kill()


def _make_initrd(boots: Kernel, work: Path) -> None:
    tree = work / "tree"
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True)
    busybox = shutil.which("busybox", path=_PATH)
    assert busybox is not None
    shutil.copy(busybox, tree / "bin")
    shutil.copy(GUEST / "init", tree)
    (tree / "init").chmod(0o755)
    for number, module in enumerate(_in_order(boots)):
        shutil.copy(module, tree / "modules" / f"{number:02}.ko")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with (work / "initrd").open("wb") as out:
        subprocess.run(
            [busybox, "cpio", "-o", "-H", "newc"],
            cwd=tree,
            input=names.encode(),
            stdout=out,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    shutil.rmtree(tree)


def _in_order(boots: Kernel) -> list[Path]:
    """Return the modules' files, each behind what it depends on."""
    base = boots.modules / boots.release
    lines = (base / "modules.dep").read_text().splitlines()
    needs = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    files = {Path(name).name.split(".")[0]: name for name in needs}
    order: list[str] = []

    def add(name: str) -> None:
        for other in needs[name]:
            add(other)
        if name not in order:
            order.append(name)

    for module in _MODULES:
        add(files[module])
    return [base / name for name in order]


def _make_disk(path: Path) -> None:
    with path.open("wb") as content:
        content.truncate(_DISK_BYTES)
    mkfs = shutil.which("mkfs.ext4", path=_PATH)
    assert mkfs is not None
    subprocess.run([mkfs, "-q", "-F", str(path)], check=True)
