"""The JSON Schema of a cost model's file, out of the fields and their descriptions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from stackledger.analysis.modelfile import ModelFile


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a model's file, for editors."""
    schema = msgspec.json.schema(ModelFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stackledger cost model",
        **_numbers(schema),
    }


def _numbers(part: Any) -> Any:
    """Return the schema with decimals as TOML has them: numbers, not texts."""
    if isinstance(part, list):
        return [_numbers(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {name: _numbers(one) for name, one in part.items()}
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].split())
    if found.get("format") == "decimal":
        del found["format"]
        found["type"] = "number"
        if isinstance(found.get("default"), str):
            number = Decimal(found["default"])
            found["default"] = int(number) if number == int(number) else float(number)
    return found
