"""Options that are another machine: more CPUs, more memory, another instance type."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from stackledger.analysis.bill import REFERENCE_SHAPES, unit_prices
from stackledger.analysis.costmodel import price_node
from stackledger.analysis.modelfile import Node
from stackledger.analysis.whatif import words
from stackledger.analysis.whatif.cache import Hits, hits
from stackledger.analysis.whatif.changes import Change, said
from stackledger.errors import StackledgerError, UsageError

if TYPE_CHECKING:
    from stackledger.analysis.costmodel import CostModel
    from stackledger.analysis.whatif.changes import Setting


def cpus(number: int, setting: Setting) -> Change:
    """Return the machine with that many CPUs, its price by the CPU's part of today's."""
    name = f"{number} CPU" + "s" * (number > 1)
    split = _split(setting.priced.model)
    if isinstance(split, str):
        return Change(name, "cpu", None, None, refused=split)
    per_vcpu, per_gib = split
    memory = per_gib * setting.priced.node.spec.memory_gib
    return Change(
        name,
        "cpu",
        replace(setting.today.system, cpus=number),
        _resized(setting, (per_vcpu * _cpus(setting), memory), (per_vcpu * number, memory)),
        (
            "CPUs are priced by their part of today's node; --instance prices a type",
            "its processes are taken to spread over the CPUs: one busy thread cannot",
        ),
    )


def memory(gib: float, setting: Setting) -> Change:
    """Return the machine with that much memory, all of what is added for the page cache.

    Its price is today's by the memory's part.
    """
    name, wanted = f"{gib:g} GiB memory", Decimal(str(gib))
    found = _hits(wanted, setting)
    if isinstance(found, str):
        return Change(name, "memory", None, None, refused=found)
    split = _split(setting.priced.model)
    if isinstance(split, str):
        return Change(name, "memory", None, None, refused=split)
    per_vcpu, per_gib = split
    processors = per_vcpu * _cpus(setting)
    today = per_gib * setting.cache.memory_gib
    return Change(
        name,
        "memory",
        setting.today.system,
        _resized(setting, (processors, today), (processors, per_gib * wanted)),
        (
            "memory is priced by its part of today's node; --instance SKU,memory=N prices a type",
            *_cached(found, setting),
        ),
        hits=found,
    )


def _hits(gib: Decimal, setting: Setting) -> Hits | str:
    if not any(job.reads for job in setting.today.jobs):
        return "no request read from a disk"
    return hits(setting.cache, gib)


def _cached(found: Hits, setting: Setting) -> tuple[str, ...]:
    """Return what is said of a larger cache."""
    told = (
        f"{found.share:.0%} of its reads become hits ({found.low:.0%}-{found.high:.0%}), once warm"
    )
    if setting.cache.held_back is None:
        return (told,)
    held = f"the memory limit of cgroup {setting.cache.held_back} is what holds the cache back"
    return told, f"{held}: it has to grow by as much"


def _cpus(setting: Setting) -> int:
    return setting.priced.node.spec.vcpu or len(setting.demand.cores)


def _resized(
    setting: Setting, before: tuple[Decimal, Decimal], after: tuple[Decimal, Decimal]
) -> Decimal:
    """Return the price a month where the node's grows as its CPUs and memory do."""
    node = setting.priced.node.monthly_usd
    monthly = node * sum(after) / sum(before)
    return setting.priced.instead(node, monthly.quantize(Decimal("0.01")))


def instance(word: str, setting: Setting) -> Change:
    """Return another instance type: SKU[,vcpu=N,speed=X,memory=G].

    Speed 1 is the model's index 1; without `memory`, the page cache stays as it is.
    """
    node = setting.priced.node
    sku, given = words.instance(word)
    sku = words.located(sku, node.spec.sku)
    number = words.vcpus(word, sku, given)
    speed = given.get("speed", node.spec.speed_index)
    spec = Node(node.spec.match, sku=sku, vcpu=number)
    model = setting.priced.model
    name = f"instance {word.strip()}"
    try:
        other = price_node(spec, model.catalog, model.file.hours_per_month)
        model.rules.check(other.prices)
    except UsageError as failure:
        return Change(name, "cpu", None, None, refused=said(failure))
    found: Hits | str | None = None
    if "memory" in given:
        found = _hits(given["memory"], setting)
    if isinstance(found, str):
        return Change(name, "cpu", None, None, refused=found)
    notes: tuple[str, ...] = _cached(found, setting) if found else ()
    if "speed" not in given:
        notes = ("its CPUs are taken to be as fast as today's: speed=X", *notes)
    return Change(
        name,
        "cpu",
        replace(setting.today.system, cpus=number, speed=float(speed / node.spec.speed_index)),
        setting.priced.instead(node.monthly_usd, other.monthly_usd),
        notes,
        hits=found,
    )


def _split(model: CostModel) -> tuple[Decimal, Decimal] | str:
    """Return the prices of a CPU and of a GiB of memory, or why the model's rules refuse them.

    Only their ratio is used: their currency does not matter.
    """
    try:
        prices = unit_prices(model.catalog)
        used = [p for sku in REFERENCE_SHAPES for p in model.catalog.listed(sku, "instance")]
        replace(model.rules, currency=used[0].currency).check(used)
    except StackledgerError as failure:
        return said(failure)
    return prices
