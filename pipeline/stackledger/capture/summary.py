"""What a capture says while it runs, and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackledger import diagnostics

if TYPE_CHECKING:
    from stackledger.capture.recording import Progress
    from stackledger.capture.session import Outcome


class Narrator:
    """One line that is written over on a terminal; elsewhere a line per phase."""

    def __init__(self) -> None:
        self._live = diagnostics.on_terminal()
        self._phase = ""

    def tell(self, progress: Progress) -> None:
        """Say how far the capture is."""
        if self._live:
            diagnostics.over(self._line(progress))
        elif progress.phase != self._phase:
            words = {"attaching": "attaching probes", "recording": "recording"}
            if progress.phase in words:
                diagnostics.note(words[progress.phase])
        self._phase = progress.phase

    def end(self) -> None:
        """Leave the line as it is."""
        diagnostics.over("")

    def _line(self, progress: Progress) -> str:
        if progress.phase == "attaching":
            return "attaching probes …"
        rows = " · ".join(f"{table} {n:,}" for table, n in sorted(progress.rows.items()) if n)
        lost = progress.lost + progress.undecodable
        loss = f" · LOST {lost:,}" if lost else ""
        stop = "Ctrl-C ends it" if progress.phase == "recording" else "taking in the last rows"
        size = f"{progress.bytes / 1e6:.1f} MB"
        return f"{progress.phase} {progress.elapsed_s:.0f} s · {rows}{loss} · {size} · {stop}"


def summary(outcome: Outcome) -> list[str]:
    """Return the lines that close a capture: length, rows, losses, what went wrong."""
    told = outcome.manifest
    if not told.started_ns:
        return ["stopped before anything was recorded"]
    length_s = max(0, told.ended_ns - told.started_ns) / 1e9
    lines = [f"{told.state}: {length_s:.1f} s on {told.host}, {told.size_bytes / 1e6:.1f} MB"]
    for loss in told.losses:
        produced, lost = (
            "not known" if known is None else f"{known:,}" for known in (loss.produced, loss.lost)
        )
        lines.append(
            f"  {loss.table:<15}{loss.received:>10,} rows, {produced} produced,"
            f" {lost} lost, {loss.undecodable:,} undecodable"
        )
    if dropped := sum(loss.dropped for loss in told.losses):
        lines.append(f"  too old to be kept: {dropped:,} of the rows were dropped")
    lines += [f"  {run.name}: {run.error}" for run in told.probes if run.error]
    lines += [
        f"  {run.name} was stopped: {run.stopped_why}" for run in told.probes if run.stopped_ns
    ]
    if told.overhead_share is not None and told.overhead is not None:
        lines.append(
            f"  recording took {told.overhead_share:.1%} of the CPU time of"
            f" {told.overhead.cpus} CPUs: stackledger query overhead"
        )
    tables = {table for run in told.probes for table in run.tables}
    name = told.name or told.id
    if "request" in tables:
        lines.append(f"next: stackledger attribute {name}")
    elif "block_io" in tables:
        lines.append(f"next: stackledger query biosnoop {name}")
    elif told.losses:
        lines.append(f'next: stackledger sql {name} "FROM {told.losses[0].table}"')
    return lines
