"""Which class of the model's networks traffic belongs to, by the other end's address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from stackledger.analysis.modelfile import Network

# One row per class, subject, layer and service: the bytes that are charged.
_CHARGED = """
CREATE OR REPLACE TEMP TABLE cost_network AS
SELECT
  t.endpoint, t.layer, t.service, k.class,
  CAST(SUM(
    CASE WHEN k.charged <> 'out' THEN t.recv_bytes ELSE 0 END
    + CASE WHEN k.charged <> 'in' THEN t.send_bytes ELSE 0 END
  ) AS BIGINT) AS bytes
FROM cost_traffic AS t JOIN cost_address AS k USING (remote_addr)
GROUP BY ALL
"""


def place_of(address: str, networks: Sequence[Network]) -> int | None:
    """Return the number of the first class that an address is in, None for none.

    A class without cidr takes every address, also what is none.
    """
    try:
        found = ip_address(address)
    except ValueError:
        found = None
    for number, network in enumerate(networks):
        if not network.cidr:
            return number
        if found is not None and any(found in ip_network(block) for block in network.cidr):
            return number
    return None


def charged(recv_bytes: int, send_bytes: int, network: Network) -> int:
    """Return the bytes that a class charges for."""
    received = recv_bytes if network.charged != "out" else 0
    return received + (send_bytes if network.charged != "in" else 0)


def classify(connection: duckdb.DuckDBPyConnection, networks: Sequence[Network]) -> dict[int, int]:
    """Return the charged bytes of each class by its number.

    Leaves the temporary tables cost_address and cost_network; traffic of an address
    that is in no class is in neither. Reads cost_traffic.
    """
    import pyarrow as pa

    found = connection.execute("SELECT DISTINCT remote_addr FROM cost_traffic").fetchall()
    placed = [
        (address, number)
        for (address,) in found
        if (number := place_of(address, networks)) is not None
    ]
    addresses = pa.table(
        {
            "remote_addr": pa.array([address for address, _ in placed], pa.string()),
            "class": pa.array([str(number) for _, number in placed], pa.string()),
            "charged": pa.array([networks[number].charged for _, number in placed], pa.string()),
        }
    )
    connection.register("cost_address_given", addresses)
    connection.execute("CREATE OR REPLACE TEMP TABLE cost_address AS FROM cost_address_given")
    connection.unregister("cost_address_given")
    connection.execute(_CHARGED)
    totals = connection.execute("SELECT class, SUM(bytes) FROM cost_network GROUP BY ALL")
    return {int(number): int(total) for number, total in totals.fetchall()}
