"""`stackledger whatif`: what another disk, more CPUs or a replica would change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from stackledger import diagnostics
from stackledger.commands.common import (
    CaptureWord,
    Format,
    FromOption,
    LastOption,
    LayersOption,
    RowsOption,
    StoreOption,
    UntilOption,
    chosen_part,
)
from stackledger.commands.cost import AgeOption, ConflictingOption, ModelOption
from stackledger.errors import StackledgerError


def whatif(
    word: CaptureWord = "last",
    model: ModelOption = "aws-us-east-1",
    disk: Annotated[
        list[str] | None,
        typer.Option(
            "--disk",
            metavar="SKU[,iops=N,mbps=M,size=G]",
            help="Another volume; may be repeated. `tiers`: those of the provider.",
        ),
    ] = None,
    cpus: Annotated[
        list[int] | None, typer.Option("--cpus", metavar="N", help="That many CPUs.")
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option(
            "--instance",
            metavar="SKU[,vcpu=N,speed=X,memory=G]",
            help="Another instance type; with its memory, a larger page cache.",
        ),
    ] = None,
    memory: Annotated[
        list[float] | None,
        typer.Option("--memory-gib", metavar="N", help="That much memory, the new for the cache."),
    ] = None,
    replica: Annotated[
        list[float] | None,
        typer.Option("--replica", metavar="SHARE", help="A second database takes that share."),
    ] = None,
    no_layer: Annotated[
        list[str] | None,
        typer.Option(
            "--no-layer", metavar="LAYER", help="Without that hop, sidecar: its callers call on."
        ),
    ] = None,
    no_retransmits: Annotated[
        bool, typer.Option("--no-retransmits", help="TCP sends nothing again: fewer machines.")
    ] = False,
    nodes: Annotated[
        list[str] | None,
        typer.Option("--nodes", metavar="N", help="So many machines, or `fewest`: see --machines."),
    ] = None,
    headroom: Annotated[
        float, typer.Option("--headroom", metavar="X", help="Room above p99 of CPU demand.")
    ] = 0.3,
    machines: Annotated[
        int, typer.Option("--machines", metavar="N", help="So many like this one there are today.")
    ] = 1,
    slo: Annotated[
        str | None,
        typer.Option("--slo", metavar="OBJECTIVE", help="The cheapest that holds: 'p99 < 200ms'."),
    ] = None,
    load: Annotated[
        float, typer.Option("--load", metavar="X", help="Under X times the load, at most 2.")
    ] = 1.0,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="E", help="Latency of this endpoint alone.")
    ] = None,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="NAME", help="Name of the prediction; default by its time."),
    ] = None,
    max_price_age: AgeOption = None,
    allow_conflicting: ConflictingOption = False,
    begin: FromOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    store: StoreOption = None,
    form: RowsOption = None,
    layers: LayersOption = None,
) -> None:
    """Foresee latency, saturation and cost of options, and pick one.

    Replays the capture's own requests with one thing changed. The prediction is kept
    beside the capture: `stackledger validate` compares it with a later one.
    """
    from stackledger.analysis import prediction
    from stackledger.analysis.costmodel import load_model
    from stackledger.analysis.whatif import objective
    from stackledger.analysis.whatif.answer import predict
    from stackledger.analysis.whatif.wanted import Wanted
    from stackledger.commands.common import open_capture
    from stackledger.report import rows
    from stackledger.report import whatif as pages

    name = save or datetime.now(UTC).strftime("whatif-%Y%m%dT%H%M%SZ")
    prediction.check_name(name)
    wanted = Wanted(
        disks=tuple(disk or ()),
        cpus=tuple(cpus or ()),
        instances=tuple(instance or ()),
        memories=tuple(memory or ()),
        replicas=tuple(replica or ()),
        no_layers=tuple(no_layer or ()),
        no_retransmits=no_retransmits,
        nodes=tuple(nodes or ()),
        headroom=headroom,
        machines=machines,
        endpoint=endpoint,
        slo=None if slo is None else objective.read(slo),
        load=load,
        name=name,
    )
    priced = load_model(
        model, allow_conflicting=allow_conflicting, max_price_age_days=max_price_age
    )
    wanted.check(priced)
    part = chosen_part(begin, until, last)
    with open_capture(word, store, layers=layers, part=part) as (capture, connection):
        found = predict(connection, priced, wanted)
    if form is None or form is Format.TABLE:
        typer.echo(pages.text(found), nl=False)
    else:
        listed = [[row[one] for one in pages.COLUMNS] for row in pages.as_rows(found)]
        rows.write(list(pages.COLUMNS), listed, form)
    try:
        prediction.store(capture.folder, found)
    except StackledgerError as failure:
        diagnostics.warning(str(failure))
    else:
        diagnostics.note(f"kept as {name}: stackledger validate {name} CAPTURE")
