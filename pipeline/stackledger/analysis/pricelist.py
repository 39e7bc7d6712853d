"""Searches the catalogue: prices by sku, and what volumes of that sku can do."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackledger.errors import NoSuchCaptureError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackledger.analysis.pricecatalog import Price
    from stackledger.analysis.volumes import VolumeType


@dataclass(frozen=True, slots=True)
class Offer:
    """A sku with its prices, in the catalogue's order, and its limits if it is a volume."""

    sku: str
    prices: tuple[Price, ...]
    volume: VolumeType | None


def offers(prices: Iterable[Price], volumes: Iterable[VolumeType]) -> list[Offer]:
    """Return one offer per sku, the priced ones first; a volume type may have no price."""
    by_sku: dict[str, list[Price]] = {}
    for price in prices:
        by_sku.setdefault(price.sku, []).append(price)
    limits = {volume.sku: volume for volume in volumes}
    found = [Offer(sku, tuple(own), limits.pop(sku, None)) for sku, own in by_sku.items()]
    return found + [Offer(sku, (), volume) for sku, volume in limits.items()]


def search(
    known: Sequence[Offer],
    words: Sequence[str] = (),
    provider: str | None = None,
    sku: str | None = None,
    dimension: str | None = None,
) -> list[Offer]:
    """Return the offers that match all of it; a word may stand anywhere in a row.

    Where a dimension is named, only its prices are kept. A provider or
    dimension that nothing has is a UsageError; no match a NoSuchCaptureError
    with the nearest names.
    """
    _known("provider", provider, {offer.sku.split("/")[0] for offer in known})
    _known("dimension", dimension, {p.dimension for offer in known for p in offer.prices})
    found = []
    for offer in known:
        if provider and offer.sku.split("/")[0] != provider:
            continue
        if sku and sku not in (offer.sku, offer.sku.rpartition("/")[2]):
            continue
        kept = offer
        if dimension:
            kept = Offer(offer.sku, _of(offer, dimension), offer.volume)
            if not kept.prices:
                continue
        text = _text(kept)
        if all(word.lower() in text for word in words):
            found.append(kept)
    if not found:
        raise _nothing(known, [*words, *([sku] if sku else [])])
    return found


def _of(offer: Offer, dimension: str) -> tuple[Price, ...]:
    return tuple(price for price in offer.prices if price.dimension == dimension)


def _text(offer: Offer) -> str:
    words = [offer.sku, offer.volume.tier if offer.volume else ""]
    for price in offer.prices:
        words += [price.dimension, price.unit, price.confidence, price.currency, price.source]
    return " ".join(words).lower()


def _known(option: str, word: str | None, known: set[str]) -> None:
    if word is not None and word not in known:
        hint = nearest(word, known) or f"accepted: {', '.join(sorted(known))}"
        raise UsageError(f"the catalogue has no such {option}", word, hint=hint)


def _nothing(known: Sequence[Offer], words: Sequence[str]) -> NoSuchCaptureError:
    """Return the error that names the skus nearest to what was asked."""
    names = {offer.sku: offer.sku for offer in known}
    names |= {offer.sku.rpartition("/")[2]: offer.sku for offer in known}
    near = [
        names[name]
        for word in words
        for name in difflib.get_close_matches(word, list(names), n=3, cutoff=0.6)
    ]
    hint = f"nearest: {', '.join(dict.fromkeys(near))}" if near else "without words: all of it"
    return NoSuchCaptureError("no price matches", " ".join(words), hint=hint)
