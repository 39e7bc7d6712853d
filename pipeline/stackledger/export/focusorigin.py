"""The FOCUS columns that all rows of one charge share: who charged whom for what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from stackledger.export.focusservices import OWN_PROVIDER, provider_name, service

if TYPE_CHECKING:
    from stackledger.analysis.charges import Charge
    from stackledger.analysis.costresult import CostResult
    from stackledger.export.focusperiods import Period

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Whose costs they are: the capture, its window in ns since the epoch, the account."""

    capture: str
    from_ts_ns: int
    until_ts_ns: int
    account: str


def origin_columns(
    result: CostResult, source: Source, charge: Charge, month: Period, home: str | None
) -> Row:
    """Return the columns that all rows of one charge share."""
    provider, region = _place(charge, home)
    name = OWN_PROVIDER if charge.kind == "shared" else provider_name(provider)
    category, sold_as = service(charge, provider)
    price_list = charge.source
    own_price = price_list is None or price_list.confidence == "user"
    own = f"model/{result.model}/{charge.own}"
    return {
        "BillingAccountId": source.account,
        "BillingCurrency": result.currency,
        "BillingPeriodStart": month.billing_start,
        "BillingPeriodEnd": month.billing_end,
        "ChargeCategory": "Usage",
        "ChargeDescription": _description(charge, own),
        "ChargePeriodStart": month.start,
        "ChargePeriodEnd": month.end,
        "ConsumedUnit": charge.consumed_unit,
        "ContractedUnitPrice": charge.price,
        "InvoiceIssuerName": name,
        "ListUnitPrice": charge.list_price,
        "PricingCategory": "Standard",
        "PricingUnit": charge.unit,
        "ProviderName": name,
        "PublisherName": name,
        "RegionId": region,
        **_resource(charge),
        "ServiceCategory": category,
        "ServiceName": sold_as,
        "SkuId": charge.sku or own,
        "SkuPriceId": charge.price_id or own,
        "Tags": _tags(result, source),
        "x_AllocatedMethodId": f"stackledger/use/idle={result.idle_policy}",
        "x_CostBasis": "own_price" if own_price else "list_estimate",
        "x_PriceConfidence": "user-supplied"
        if own_price or not price_list
        else price_list.confidence,
        "x_PriceSourceDate": price_list.source_date.isoformat() if price_list else None,
    }


def _resource(charge: Charge) -> Row:
    """Return what a capture knows of the resource: its names there, not the provider's."""
    if charge.host is None:
        return {}
    if charge.device is None:
        return {
            "ResourceId": f"host/{charge.host}",
            "ResourceName": charge.host,
            "ResourceType": "Virtual Machine",
        }
    return {
        "ResourceId": f"host/{charge.host}/disk/{charge.device}",
        "ResourceName": charge.device,
        "ResourceType": "Volume",
    }


def _description(charge: Charge, own: str) -> str:
    where = "" if charge.host is None else f" for host {charge.host}"
    disk = "" if charge.device is None else f", disk {charge.device}"
    if charge.source is not None and charge.source.confidence != "user":
        return f"{charge.sku} at the list price {charge.price_id}{where}{disk}"
    named = charge.price_id or own
    return f"{charge.sku or charge.kind} at the user's own price {named}{where}{disk}"


def _tags(result: CostResult, source: Source) -> str:
    tags = {"stackledger/capture": source.capture, "stackledger/model": result.model}
    return msgspec.json.encode(tags).decode()


def home_of(result: CostResult) -> str | None:
    """Return provider/region of all skus on the bill, None where they differ or are none."""
    skus = [charge.sku for line in result.bill for charge in line.charges if charge.sku]
    places = {sku.rpartition("/")[0] for sku in skus}
    return places.pop() if len(places) == 1 else None


def _place(charge: Charge, home: str | None) -> tuple[str | None, str | None]:
    """Return the provider and region of a charge; one without a sku is where the others are."""
    place = charge.sku.rpartition("/")[0] if charge.sku else home
    if place is None or charge.kind == "shared":
        return None, None
    provider, _, region = place.partition("/")
    return provider or None, region or None
