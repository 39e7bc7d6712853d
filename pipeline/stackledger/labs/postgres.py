"""The lab's database: a PostgreSQL cluster of its own, with a table that is read from the disk.

`orders` has one row per 8 KiB page (fillfactor 10) and is 300 times larger than
`shared_buffers`, so that a random read by primary key is one read of the disk
once the page cache has been dropped. `products` is small and stays cached.
`payments` is empty: a row of it is a commit, and so a write that is waited for.
"""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackledger.errors import StackledgerError
from stackledger.labs import programs, servers
from stackledger.labs.pgwire import Connection, DatabaseError
from stackledger.labs.places import HERE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS = 40_000
PRODUCTS = 5_000

_SUPERUSER = "postgres"

# Run by a server in single-user mode: nothing listens while the tables are made.
_TABLES = f"""\
CREATE ROLE lab LOGIN;

CREATE TABLE orders (id integer, customer text NOT NULL, note text NOT NULL)
WITH (fillfactor = 10);

INSERT INTO orders
SELECT n, 'customer ' || n % 997, repeat(md5(n::text), 16)
FROM generate_series(1, {ORDERS}) AS n;

ALTER TABLE orders ADD PRIMARY KEY (id);

CREATE TABLE products (id integer, name text NOT NULL, price numeric NOT NULL);

INSERT INTO products
SELECT n, 'product ' || md5(n::text), n % 100 + 0.99
FROM generate_series(1, {PRODUCTS}) AS n;

CREATE TABLE payments (customer integer NOT NULL, cents integer NOT NULL);

GRANT SELECT ON orders, products TO lab;

GRANT INSERT, DELETE ON payments TO lab;

VACUUM (FREEZE, ANALYZE) orders;

VACUUM (FREEZE, ANALYZE) products;

"""  # noqa: S608 - two constants of this file

# Trust, but for a role that can only read two tables and fill one: anyone on the host can
# reach the port while the lab runs. Not `samenet`: for that PostgreSQL asks the kernel for its
# interfaces over a netlink socket at each connection, calls that no server answers.
_ACCESS = """\
host postgres lab {address}/24 trust
local postgres lab trust
"""

_FILL_SETTINGS = {
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "full_page_writes": "off",
}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "1MB",
    "fsync": "on",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "300",
    "max_parallel_workers_per_gather": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


@dataclass(frozen=True)
class Database:
    """A running cluster: its server, and where to connect."""

    server: servers.Server
    port: int
    socket: Path
    table: Path

    def drop_cache(self) -> None:
        """Throw the pages of `orders` out of the page cache, and of no other file."""
        descriptor = os.open(self.table, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def warm_cache(self) -> None:
        """Read `orders` into the page cache."""
        connection = Connection(str(self.socket), user="lab", database="postgres")
        try:
            connection.query("SELECT count(note) FROM orders")
        finally:
            connection.close()


@contextmanager
def database(
    folder: Path, port: int, disk: Path | None = None, place: Place = HERE
) -> Iterator[Database]:
    """Make a cluster in `folder`, fill it, and run it on a port and a Unix socket.

    Its files go to `disk` instead, where that is given.
    """
    binaries = Path(programs.programs(["postgres"])["postgres"]).resolve().parent
    user = programs.unprivileged_user()
    home = (disk or folder) / "postgres"
    home.mkdir(mode=0o700)
    shutil.chown(home, user)
    data = home / "data"
    # Looked up by the application, which may run as somebody else.
    sockets = folder / "sockets"
    sockets.mkdir(mode=0o755)
    shutil.chown(sockets, user)
    _create(binaries, data, user=user, folder=folder)
    (data / "pg_hba.conf").write_text(_ACCESS.format(address=place.address))
    settings = _SETTINGS | {"port": str(port), "unix_socket_directories": str(sockets)}
    settings["listen_addresses"] = place.address
    postgres = [str(binaries / "postgres"), "-D", str(data), *_options(settings)]
    servers.require_free("database", port, place)
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
    with servers.server(
        "database", postgres, folder=folder, user=user, stop=signal.SIGINT, place=place
    ) as it:
        socket = sockets / f".s.PGSQL.{port}"
        servers.wait_until(lambda: _answers(str(socket)), it)
        # A Unix socket is reached from every network namespace.
        connection = Connection(str(socket), user="lab", database="postgres")
        try:
            ((path,),) = connection.query("SELECT pg_relation_filepath('orders')")
            # Read once, so that only `orders` will be cold.
            connection.query("SELECT sum(price), min(md5(name)) FROM products")
        finally:
            connection.close()
        yield Database(it, port, socket, data / str(path))


def _create(binaries: Path, data: Path, *, user: str, folder: Path) -> None:
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", _SUPERUSER, "-A", "trust"]
    initdb += ["--no-sync", "--no-locale", "-E", "UTF8", "--no-instructions"]
    servers.run_as(user, initdb, folder=folder, name="initdb")
    single = [str(binaries / "postgres"), "--single", "-D", str(data), "-j"]
    single += [*_options(_FILL_SETTINGS), "postgres"]
    script = folder / "fill.sql"
    script.write_text(_TABLES)
    servers.run_as(user, single, folder=folder, name="fill", script=script)
    # Single-user mode carries on after an error and still ends with 0.
    log = (folder / "fill.log").read_text(errors="replace").splitlines()
    if failed := [line for line in log if "ERROR:" in line]:
        raise StackledgerError("the lab's tables were not made", failed[0])


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _answers(address: str) -> bool:
    try:
        connection = Connection(address, user="lab", database="postgres")
    except (OSError, DatabaseError):
        return False
    connection.close()
    return True
