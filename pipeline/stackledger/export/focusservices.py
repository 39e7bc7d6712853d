"""How FOCUS names providers and their services, by sku and kind of charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackledger.analysis.charges import Charge

# What the providers' own FOCUS files say.
_PROVIDERS = {"aws": "AWS", "gcp": "Google Cloud", "azure": "Microsoft"}
OWN_PROVIDER = "Self-managed"

_CATEGORIES = {
    "node": "Compute",
    "disk": "Storage",
    "network": "Networking",
    "shared": "Management and Governance",
}
_SERVICES = {
    ("aws", "node"): "Amazon Elastic Compute Cloud",
    ("aws", "disk"): "Amazon Elastic Block Store",
    ("aws", "database"): "Amazon Relational Database Service",
    ("aws", "network"): "AWS Data Transfer",
    ("gcp", "node"): "Compute Engine",
    ("gcp", "disk"): "Compute Engine",
    ("gcp", "database"): "Cloud SQL",
    ("gcp", "network"): "Networking",
    ("azure", "node"): "Virtual Machines",
    ("azure", "disk"): "Storage",
    ("azure", "database"): "Azure Database",
    ("azure", "network"): "Bandwidth",
}
_ANYWHERE = {
    "node": "Virtual machine",
    "disk": "Block storage",
    "database": "Managed database",
    "network": "Data transfer",
}


def provider_name(provider: str | None) -> str:
    """Return the name of a provider as it signs its bills."""
    return _PROVIDERS.get(provider or "", provider or OWN_PROVIDER)


def service(charge: Charge, provider: str | None) -> tuple[str, str]:
    """Return ServiceCategory and ServiceName of a charge."""
    sold = (charge.sku or "").rpartition("/")[2]
    if charge.kind == "shared":
        return _CATEGORIES["shared"], charge.name
    kind = "database" if sold.startswith(("rds-", "cloudsql-")) else charge.kind
    category = "Databases" if kind == "database" else _CATEGORIES[kind]
    return category, _SERVICES.get((provider or "", kind), _ANYWHERE[kind])
