"""The columns of a FOCUS 1.2 file, in the order in which they are written.

FOCUS (the FinOps Open Cost and Usage Specification) fixes names, types, which
columns a file must have and where NULL is allowed; own columns begin with `x_`
and come last. `focusrules` checks a file against this table.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "1.2"

# Figures of a quantity and of an amount, behind the point: a decimal of 38 figures
# has room for 99 trillion before it.
QUANTITY_SCALE = 15
PRICE_SCALE = 9
COST_SCALE = QUANTITY_SCALE + PRICE_SCALE

CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
PRICING_CATEGORIES = ("Standard", "Dynamic", "Committed", "Other")
SERVICE_CATEGORIES = (
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Multicloud",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
)


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """One column: `kind` is string, time, json, price, quantity or cost.

    `null` says whether a row may have no value, `values` what it may hold where
    that is fixed. `per_row` columns differ among the rows of one charge.
    """

    name: str
    kind: str = "string"
    mandatory: bool = False
    null: bool = True
    values: tuple[str, ...] = ()
    per_row: bool = False


def _must(name: str, kind: str = "string", **more: bool | tuple[str, ...]) -> FocusColumn:
    return FocusColumn(name, kind, mandatory=True, **{"null": False, **more})  # type: ignore[arg-type]


def _own(name: str, kind: str = "string", *, null: bool = False) -> FocusColumn:
    return FocusColumn(name, kind, null=null, per_row=True)


COLUMNS = (
    _must("BilledCost", "cost", per_row=True),
    _must("BillingAccountId"),
    _must("BillingAccountName", null=True),
    _must("BillingCurrency"),
    _must("BillingPeriodEnd", "time"),
    _must("BillingPeriodStart", "time"),
    _must("ChargeCategory", values=CHARGE_CATEGORIES),
    _must("ChargeClass", null=True, values=("Correction",)),
    _must("ChargeDescription", null=True),
    _must("ChargePeriodEnd", "time"),
    _must("ChargePeriodStart", "time"),
    FocusColumn("ConsumedQuantity", "quantity", null=False, per_row=True),
    FocusColumn("ConsumedUnit", null=False),
    _must("ContractedCost", "cost", per_row=True),
    FocusColumn("ContractedUnitPrice", "price", null=False),
    _must("EffectiveCost", "cost", per_row=True),
    _must("InvoiceIssuerName"),
    _must("ListCost", "cost", per_row=True),
    FocusColumn("ListUnitPrice", "price", null=False),
    FocusColumn("PricingCategory", null=False, values=PRICING_CATEGORIES),
    _must("PricingQuantity", "quantity", per_row=True),
    _must("PricingUnit"),
    _must("ProviderName"),
    _must("PublisherName"),
    FocusColumn("RegionId"),
    FocusColumn("ResourceId"),
    FocusColumn("ResourceName"),
    FocusColumn("ResourceType"),
    _must("ServiceCategory", values=SERVICE_CATEGORIES),
    _must("ServiceName"),
    FocusColumn("SkuId", null=False),
    FocusColumn("SkuPriceId", null=False),
    FocusColumn("SubAccountId"),
    FocusColumn("Tags", "json"),
    _own("x_AllocatedMethodId"),
    _own("x_CostBasis"),
    _own("x_Endpoint", null=True),
    _own("x_Kind"),
    _own("x_Layer", null=True),
    _own("x_OriginChargeId"),
    _own("x_OriginPricingQuantity", "quantity"),
    _own("x_Part"),
    _own("x_PriceConfidence"),
    _own("x_PriceSourceDate", null=True),
    _own("x_Resource"),
    _own("x_Service", null=True),
)
NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
MANDATORY = tuple(column.name for column in COLUMNS if column.mandatory)
