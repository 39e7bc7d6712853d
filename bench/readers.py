"""What one would use instead of our decoder: four readers of JSON, each to zstd Parquet.

A reader takes a probe, a file of its printed lines and a path to write, and returns the
bytes written. pyarrow reads no list whose values are of several types, as tuples are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from stackledger import catalog

Reader = Callable[[str, Path, Path], int]

_TEXT = {"comm", "rwbs", "first"}
_SEPARATOR = "\x7f"


def _columns(probe: str) -> tuple[str, ...]:
    emits = catalog.probe(probe).emits
    return next((one for one in emits if one.table == "request"), emits[0]).columns


def _written(table: pa.Table, path: Path) -> int:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    return path.stat().st_size


def duckdb_tuples(probe: str, file: Path, path: Path) -> int:
    """Have DuckDB take each tuple apart."""
    items = ", ".join(
        f"data[{at}]{'' if name in _TEXT else '::BIGINT'} AS {name}"
        for at, name in enumerate(_columns(probe), start=2)
    )
    return _duckdb(f"SELECT {items} FROM lines", "data: 'VARCHAR[]'", file, path)


def duckdb_texts(probe: str, file: Path, path: Path) -> int:
    """Have DuckDB split each text."""
    items = ", ".join(
        f"part[{at}]{'' if name in _TEXT else '::BIGINT'} AS {name}"
        for at, name in enumerate(_columns(probe), start=2)
    )
    select = f"SELECT {items} FROM (SELECT string_split(data, chr(127)) AS part FROM lines)"
    return _duckdb(select, "data: 'VARCHAR'", file, path)


def _duckdb(select: str, column: str, file: Path, path: Path) -> int:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute(
            f"CREATE VIEW lines AS FROM read_json('{file}', format='newline_delimited',"
            f" columns={{{column}}})"
        )
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return path.stat().st_size


def polars_tuples(probe: str, file: Path, path: Path) -> int:
    """Have polars take each tuple apart."""
    lines = pl.read_ndjson(file, schema={"data": pl.List(pl.String)})
    return _polars(lines, probe, pl.col("data").list.get, path)


def polars_texts(probe: str, file: Path, path: Path) -> int:
    """Have polars split each text."""
    names = _columns(probe)
    lines = pl.read_ndjson(file, schema={"data": pl.String}).select(
        pl.col("data").str.split_exact(_SEPARATOR, len(names)).struct.unnest()
    )
    return _polars(lines, probe, lambda at: pl.col(f"field_{at}"), path)


def _polars(lines: pl.DataFrame, probe: str, value: Callable[[int], pl.Expr], path: Path) -> int:
    columns = [
        (value(at) if name in _TEXT else value(at).cast(pl.Int64)).alias(name)
        for at, name in enumerate(_columns(probe), start=1)
    ]
    lines.select(columns).write_parquet(path, compression="zstd")
    return path.stat().st_size


def pyarrow_texts(probe: str, file: Path, path: Path) -> int:
    """Have pyarrow read the texts, and split each."""
    options = pa.json.ReadOptions(use_threads=False, block_size=4 << 20)
    texts = pa.json.read_json(file, options).column("data").combine_chunks()
    names = _columns(probe)
    values = pc.split_pattern(texts, pattern=_SEPARATOR)
    columns = [pc.list_element(values, at) for at in range(1, len(names) + 1)]
    return _written(_typed(dict(zip(names, columns, strict=True))), path)


def orjson_tuples(probe: str, file: Path, path: Path) -> int:
    """Have orjson decode each line, and Python put the values into columns."""
    with file.open("rb") as lines:
        rows = [orjson.loads(line)["data"] for line in lines]
    values = list(zip(*rows, strict=True))[1:]
    columns = dict(zip(_columns(probe), map(pa.array, values), strict=True))
    return _written(_typed(columns), path)


def orjson_texts(probe: str, file: Path, path: Path) -> int:
    """The same with texts, which Python splits."""
    with file.open("rb") as lines:
        rows = [orjson.loads(line)["data"].split(_SEPARATOR) for line in lines]
    values = list(zip(*rows, strict=True))[1:]
    columns = dict(zip(_columns(probe), map(pa.array, values), strict=True))
    return _written(_typed(columns), path)


def _typed(columns: dict[str, pa.Array]) -> pa.Table:
    return pa.table(
        {
            name: values if name in _TEXT else pc.cast(values, pa.int64())
            for name, values in columns.items()
        }
    )


READERS: dict[str, dict[str, Reader]] = {
    "block_io": {"duckdb": duckdb_tuples, "polars": polars_tuples, "orjson": orjson_tuples},
    "request": {
        "duckdb": duckdb_texts,
        "polars": polars_texts,
        "pyarrow": pyarrow_texts,
        "orjson": orjson_texts,
    },
}
