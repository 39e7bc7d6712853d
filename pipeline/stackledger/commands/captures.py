"""`stackledger captures`: what the store holds."""

from __future__ import annotations

from stackledger.commands.common import FormatOption, LimitOption, StoreOption


def captures(
    store: StoreOption = None, form: FormatOption = None, limit: LimitOption = None
) -> None:
    """List the captures of the store, newest first: when, how long, rows, losses."""
    from stackledger import store as stores
    from stackledger.commands.common import chosen_format, chosen_store
    from stackledger.report import rows

    columns = [
        *("id", "name", "host", "started_ts_ns", "wall_ns", "kept_from_ts_ns", "state"),
        *("rows", "lost", "bytes"),
    ]
    found = []
    for one in reversed(stores.captures(chosen_store(store))):
        told = one.manifest
        unfinished = told.state == "recording"  # it has not come to its accounts
        found.append(
            (
                told.id,
                told.name,
                told.host,
                told.started_ns,
                max(0, told.ended_ns - told.started_ns) if told.ended_ns else None,
                told.kept_from_ns or None,
                "writing" if one.being_written else "cut off" if unfinished else told.state,
                None if unfinished else sum(loss.received for loss in told.losses),
                None
                if unfinished
                else sum((loss.lost or 0) + loss.undecodable for loss in told.losses),
                one.size_bytes,
            )
        )
    rows.write(columns, found, chosen_format(form), limit)
