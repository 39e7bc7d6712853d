"""Options whose prices or sizes will not do are refused, and the others stay."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from stackledger.analysis.costmodel import load_model
from stackledger.analysis.whatif import changes, disks, machines
from stackledger.analysis.whatif.cache import Cache
from stackledger.analysis.whatif.calibration import calibrate
from stackledger.analysis.whatif.demand import Demand, Job
from stackledger.analysis.whatif.diskuse import DiskUse
from stackledger.analysis.whatif.prices import limit_of, priced

MODEL = """
schema = "cost-model/1"
[[node]]
match = {{ host = "*" }}
monthly_override = 70
memory_gib = 8
vcpu = 2
[[disk]]
match = {{ host = "*", device = "*" }}
sku = "aws/us-east-1/gp3"
size_gb = {size}
[[price]]
sku = "aws/us-east-1/gp3"
dimension = "capacity"
price = 0.08
date = 2026-07-30
reason = "contract"
"""


@pytest.fixture
def setting(tmp_path):
    """Return `setting(size, max_age)`: what one request on a volume of that size is replayed on."""

    def made(size: int, max_age: int | None = None) -> changes.Setting:
        path = tmp_path / "model.toml"
        path.write_text(MODEL.format(size=size))
        model = load_model(path, max_price_age_days=max_age, today=date(2026, 8, 1))
        job = Job(0, 10**7, 0, "GET /", 10.0**6, 0.0, 9.0 * 10**6, 0.0, 0.0, 0.0, 1, 8192, 9e6)
        disk = DiskUse(1, "sda", 10.0, 10.0, 81920.0, 10.0)
        demand = Demand([job], 1, 10.0, False, 1, (0.1, 0.1), 0.1, None, disk)
        cost = priced(model, "web-1", ["sda"], "sda")
        today = calibrate(demand, 2, limit_of(cost.disk))
        return changes.Setting(demand, today, cost, Cache(Decimal(8), None, "not recorded"))

    return made


def test_a_volume_too_small_for_its_iops_is_refused(setting):
    found = disks.disk("io1,iops=3000", setting(50))
    assert (found.refused, found.system) == (
        "aws/us-east-1/io1 of 50 GB does at most 2500 IOPS: 3000",
        None,
    )
    assert disks.disk("io1,iops=2500", setting(50)).system.limit.iops == 2500


def test_tiers_order_what_the_size_allows(setting):
    names = {one.name: one for one in disks.tiers(setting(20))}
    # 50 and 1000 IOPS per GiB.
    assert {"disk io1,iops=1000", "disk io2,iops=3000"} < set(names)
    assert not names["disk io1,iops=1000"].refused


def test_prices_older_than_allowed_refuse_one_option_and_not_the_next(setting):
    today = setting(500, max_age=5)
    # The catalogue's are of 2026-07-20; the model's own price is two days old.
    assert "older than 5 days: 12 days; raise --max-price-age" in machines.cpus(4, today).refused
    assert "older than 5 days" in disks.disk("gp2", today).refused
    assert "older than 5 days" in machines.instance("aws/us-east-1/m6i.large", today).refused
    assert not disks.disk("gp3", today).refused
    assert not changes.replica(0.5, today).refused


def test_without_a_volume_in_the_model_the_disk_options_are_refused(setting):
    today = setting(500)
    bare = changes.Setting(
        today.demand, today.today, priced(today.priced.model, "web-1", [], None), today.cache
    )
    why = "no [[disk]] of the cost model model matches web-1/sda: add it"
    assert disks.disk("gp3", bare).refused == why
    assert [one.refused for one in disks.tiers(bare)] == [why]
