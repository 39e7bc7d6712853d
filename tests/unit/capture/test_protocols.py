"""What requests are called, and that nothing of a literal survives the naming."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackledger.capture import protocols
from stackledger.capture.protocols import templates

LIMIT = 64


def seen(raw: bytes, limit: int = LIMIT) -> str:
    """Return bytes as bpftrace's `buf()` shows them."""
    return "".join(chr(code) if 32 <= code <= 126 else f"\\x{code:02x}" for code in raw[:limit])


def named(text: str) -> tuple[str, str, str]:
    columns = protocols.name_requests(pa.array([text]))
    return tuple(columns[name][0].as_py() for name in ("protocol", "endpoint", "statement"))


def message(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


def query(sql: str) -> str:
    return seen(message(b"Q", sql.encode() + b"\0"), 4096)


HTTP = [
    ("GET / HTTP/1.1", "GET /"),
    ("GET /api/orders/42?x=1&token=s3cret HTTP/1.1", "GET /api/orders/{id}"),
    ("GET /api/orders/42/items/7 HTTP/1.1", "GET /api/orders/{id}/items/{id}"),
    ("POST /a/550e8400-e29b-41d4-a716-446655440000 HTTP/1.0", "POST /a/{id}"),
    ("GET /a/550e8400e29b41d4a716446655440000 HTTP/1.1", "GET /a/{id}"),
    ("DELETE /cache/deadbeef01 HTTP/1.1", "DELETE /cache/{id}"),
    ("GET /cafebabe HTTP/1.1", "GET /cafebabe"),  # hexadecimal letters alone may be a word
    ("GET /v1/users HTTP/1.1", "GET /v1/users"),
    ("GET /img/12345.png HTTP/1.1", "GET /img/{id}.png"),
    ("GET /t/eyJhbGciOiJIUzI1NiJ9 HTTP/1.1", "GET /t/{id}"),
    ("GET /oauth2-authorization-server HTTP/1.1", "GET /oauth2-authorization-server"),
    ("GET /day/2024-01-31 HTTP/1.1", "GET /day/{id}"),
    ("GET /u/bob%40example.org HTTP/1.1", "GET /u/{id}"),
    ("GET /u/bob@example.org HTTP/1.1", "GET /u/{id}"),
    ("GET /x;jsessionid=AB12CD/y HTTP/1.1", "GET /x/y"),
    ("GET http://u:pw@h:80/x/12 HTTP/1.1", "GET /x/{id}"),
    ("GET http://h HTTP/1.1", "GET /"),
    ("OPTIONS * HTTP/1.1", "OPTIONS *"),
    ("CONNECT db.internal:443 HTTP/1.1", "CONNECT"),
    ("GET //a//7/ HTTP/1.1", "GET //a//{id}/"),
    ("PATCH /a#b HTTP/1.1", "PATCH /a"),
]


@pytest.mark.parametrize(("line", "endpoint"), HTTP)
def test_http(line: str, endpoint: str) -> None:
    assert named(seen(f"{line}\r\nHost: x\r\n".encode(), 256)) == ("http", endpoint, "")


def test_a_cut_path_ends_with_an_ellipsis_and_loses_its_last_part() -> None:
    path = "/api/customers/12/statements/of-the-year/with-secret-token"
    assert named(seen(f"GET {path}XYZ{'a' * 40} HTTP/1.1\r\n".encode())) == (
        *("http", "GET /api/customers/{id}/statements/of-the-year/…", ""),
    )


def test_a_cut_query_string_is_no_cut_path() -> None:
    assert named(seen(f"GET /search?q={'a' * 80}".encode())) == ("http", "GET /search", "")


@pytest.mark.parametrize("end", range(len("GET /a/b "), len("GET /a/b HTTP/1.1\r\n") + 1))
def test_a_cut_version_is_no_cut_path(end: int) -> None:
    assert named(seen(b"GET /a/b HTTP/1.1\r\n"[:end])) == ("http", "GET /a/b", "")


SQL = [
    ("SELECT 1", "SELECT ?"),
    ("select * from t where a = 'x''y' and b = 12;", "select * from t where a = ? and b = ?"),
    ("SELECT c1, t2.c3 FROM t2 WHERE x=-5.5e-3", "SELECT c1, t2.c3 FROM t2 WHERE x=?"),
    ("SELECT  a\n\tFROM t\r\n WHERE b IN (1, 2,3)", "SELECT a FROM t WHERE b IN (?)"),
    ("SELECT a FROM t WHERE b IN ($1,$2)", "SELECT a FROM t WHERE b IN (?)"),
    ("SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $1"),
    ('SELECT "Weird ""1"" Name", 2 FROM "t 3"', 'SELECT "Weird ""1"" Name", ? FROM "t 3"'),
    (r"SELECT E'it\'s', b'01', x'ff', U&'d\0061t', n'x'", "SELECT ?, ?, ?, ?, ?"),
    ("SELECT $$a'b$$, $1", "SELECT ?, $1"),
    ("DO $body$ BEGIN PERFORM 'secret'; END $body$", "DO ?"),
    ("SELECT 1 -- secret 'x\nFROM t", "SELECT ? FROM t"),
    ("SELECT /* trace=abc'123 */ a FROM t", "SELECT a FROM t"),
    ("SELECT '--', \"/*\", a FROM t", 'SELECT ?, "/*", a FROM t'),
    ("INSERT INTO t VALUES (0x1F, 1_000, .5, '')", "INSERT INTO t VALUES (?, ?, ?, ?)"),
    ("SELECT a::int, b->>'k', c[3] FROM t", "SELECT a::int, b->>?, c[?] FROM t"),
    ("UPDATE größe SET a = 'ä'", "UPDATE gr__e SET a = ?"),
    ("BEGIN", "BEGIN"),
    ("SELECT 'a\nb', c, 'd' FROM t", "SELECT ?, c, ? FROM t"),
]


@pytest.mark.parametrize(("sql", "endpoint"), SQL)
def test_simple_query(sql: str, endpoint: str) -> None:
    found = named(query(sql))
    expected = endpoint.replace("gr__e", "gr____e")  # two bytes each
    assert found == ("postgresql", expected, "")


def test_a_cut_statement_has_one_name_whatever_its_literals() -> None:
    """Where the cut falls depends on how long the literals before it are."""
    names = {
        named(seen(message(b"Q", sql.encode() + b"\0")))
        for sql in (
            "UPDATE accounts SET balance = balance + 1 WHERE aid = 12 AND bid = 3",
            "UPDATE accounts SET balance = balance + 123456 WHERE aid = 7 AND bid = 3",
            "UPDATE accounts SET balance = balance + -99 WHERE aid = 123456 AND bid = 3",
        )
    }
    assert names == {("postgresql", "UPDATE accounts SET balance = balance + ?…", "")}


def test_parse_names_a_statement_and_bind_uses_it() -> None:
    parse = message(b"P", b"S_1\0SELECT a FROM t WHERE b = $1 AND c = 'x'\0\0\0")
    assert named(seen(parse)) == ("postgresql", "SELECT a FROM t WHERE b = $1 AND c = ?", "S_1")
    unnamed = message(b"P", b"\0SELECT 1\0\0\0") + message(b"B", b"\0\0\0\0\0\0")
    assert named(seen(unnamed)) == ("postgresql", "SELECT ?", "")
    bind = message(b"B", b"\0S_1\0\0\0\0\1\0\0\0\x06secret\0\0")
    assert named(seen(bind)) == ("postgresql", "", "S_1")
    portal = message(b"B", b"C_2\0S_9\0\0\0")
    assert named(seen(portal)) == ("postgresql", "", "S_9")
    assert named(seen(bind[:8])) == ("postgresql", "", "")  # its name is cut


def test_prepared_statements_whose_names_differ_in_a_number_are_not_one() -> None:
    for text in ("q-%d", "a 'b' %d", "x=%d", "(%d"):
        names = [(text % number).encode() for number in range(3)]
        parses = [seen(message(b"P", name + b"\0SELECT 1\0\0\0")) for name in names]
        binds = [seen(message(b"B", b"\0" + name + b"\0\0\0")) for name in names]
        found = protocols.name_requests(pa.array([*parses, *binds]))["statement"].to_pylist()
        assert found == [name.decode() for name in names] * 2


@pytest.mark.parametrize("length", [1, 31, 57, 70, 80, 87, 88, 89, 200, 300])
def test_any_length_byte(length: int) -> None:
    """The length's last byte may be a backslash, a quote, or a letter."""
    sql = "SELECT " + "a" * length
    assert named(query(sql)) == ("postgresql", sql, "")


@pytest.mark.parametrize(
    ("raw", "endpoint"),
    [
        (b"\0\0\0\x08\x04\xd2\x16\x2f", "(startup)"),
        (b"\0\0\0\x08\x04\xd2\x16\x30", "(startup)"),
        (b"\0\0\0\x29\0\3\0\0user\0bob\0database\0prod\0\0", "(startup)"),
        (b"\0\0\0\x5c\0\3\0\0user\0bob\0database\0prod\0\0", "(startup)"),
        (b"p\0\0\0\x0dhunter2secret\0", "(startup)"),
        (b"p\0\0\0\x36SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=nonce", "(startup)"),
        (b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2", "(cancel)"),
        (b"X\0\0\0\4", "(terminate)"),
        (b"S\0\0\0\4", ""),
    ],
)
def test_what_is_no_query(raw: bytes, endpoint: str) -> None:
    assert named(seen(raw)) == ("postgresql", endpoint, "")


@pytest.mark.parametrize(
    ("raw", "endpoint"),
    [
        (b"*2\r\n$3\r\nGET\r\n$6\r\nsecret\r\n", "GET"),
        (b"*2\r\n$7\r\nhgetall\r\n$3\r\nfoo\r\n", "HGETALL"),
        (b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "AUTH"),
        (b"*3\r\n$9\r\nJSON.SET2\r\n", ""),
        (b"*1\r\n$8\r\nFT.SEAR", "FT.SEAR"),
        (b"PING\r\n", "PING"),
        (b"GET secret\r\n", "GET"),
        (b"AUTH secret\r\n", "AUTH"),
    ],
)
def test_redis(raw: bytes, endpoint: str) -> None:
    assert named(seen(raw)) == ("redis" if endpoint else "", endpoint, "")


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\x16\x03\x01\x02\x00\x01", b"\x0b\0\0\0\x03select 1", b"HELO mail\r\n"),
        *(b"PRI * HTTP/2.0\r\n\r\nSM", b"GETX /a HTTP/1.1\r\n", b"get /a HTTP/1.1\r\n"),
        *(b"SELECT 1 AS secret", b"\xff" * 64, b"GET", b"GET "),
    ],
)
def test_anything_else_has_no_name(raw: bytes) -> None:
    assert named(seen(raw)) == ("", "", "")


def test_control_bytes_that_came_unescaped_count_too() -> None:
    assert named("GET /a/7 HTTP/1.1\r\nHost: x") == ("http", "GET /a/{id}", "")


SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=30)


def _leaks(secret: str, name: str) -> bool:
    """Whether a run of five of the secret's characters is in the name."""
    return any(secret[at : at + 5] in name for at in range(len(secret) - 4))


@given(SECRET, st.integers(12, 120))
@settings(max_examples=250, deadline=None)
def test_no_literal_of_a_statement_survives(secret: str, limit: int) -> None:
    quoted = secret.replace("'", "''")
    raw = message(b"Q", f"SELECT a FROM t WHERE b = '{quoted}' AND c = 1".encode() + b"\0")
    _, endpoint, _ = named(seen(raw, limit))
    template = "SELECT a FROM t WHERE b = ? AND c = ?…"
    assert not _leaks(secret, endpoint) or _leaks(secret, template)
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    raw = message(b"Q", f"SELECT a FROM t WHERE b = E'{escaped}' AND c = 1".encode() + b"\0")
    _, endpoint, _ = named(seen(raw, limit))
    assert not _leaks(secret, endpoint) or _leaks(secret, template)


@given(SECRET, st.integers(4, 90))
@settings(max_examples=200, deadline=None)
def test_nothing_but_the_command_of_redis_survives(secret: str, limit: int) -> None:
    raw = f"*2\r\n$4\r\nAUTH\r\n${len(secret)}\r\n{secret}\r\n".encode()
    assert named(seen(raw, limit)) in {("redis", "AUTH"[:size], "") for size in range(1, 5)} | {
        ("", "", "")
    }


@given(st.binary(max_size=LIMIT))
@settings(max_examples=300, deadline=None)
def test_any_bytes_have_a_name_without_control_characters(raw: bytes) -> None:
    protocol, endpoint, statement = named(seen(raw))
    assert protocol in {"", "http", "postgresql", "redis"}
    assert not re.search(r"[\x00-\x1f]", endpoint + statement)


_NUMBER = st.integers(0, 10**12).map(str)
_PLAIN = st.text('abcXYZ019 -/*$"%.,;:()[]_=é', max_size=8)
_HTTP_LINE = st.builds(
    "{} /{}/{}{}{}{}".format,
    st.sampled_from(["GET", "POST", "PATCH"]),
    st.sampled_from(["api", "v1", "12.png", "0x12", "7a", "*"]),
    _NUMBER,
    st.sampled_from(["", "/", ".html", "?", "?q=/12", "?a?b=1", "/x?", ";s=1", " x"]),
    _PLAIN,
    st.sampled_from(
        [" HTTP/1.1\r\nHost: h", " HTTP/1.0\n", " HTTP/1.1", " HTTP/2.0\r\n", " H", ""]
    ),
).map(str.encode)
_STATEMENT = st.builds(
    "{} {} = {}{}{}{}".format,
    st.sampled_from(["SELECT a FROM b WHERE c", "UPDATE t SET x1", "SELECT -- 'q\n e", "COPY /*"]),
    st.sampled_from(["id", "'lit'", "E'a\\'b'", "$1", '"na\'me"', "$$x$$"]),
    _NUMBER,
    st.sampled_from(["", ",", "e5", " AND d = '", "-", " IN (1, 2,"]),
    _PLAIN,
    st.sampled_from(["", "'", "''", "' AND e = 'f'", ";", "\\"]),
).map(str.encode)
_ANY_REQUEST = st.one_of(
    _HTTP_LINE,
    _STATEMENT.map(lambda sql: message(b"Q", sql + b"\0")),
    st.builds(
        lambda name, sql: message(b"P", name + b"\0" + sql + b"\0\0\0"),
        st.sampled_from([b"", b"S_1", b"S_2", b"it's"]),
        _STATEMENT,
    ),
    st.builds(
        lambda name, rest: message(b"B", b"\0" + name + b"\0" + rest),
        st.sampled_from([b"", b"S_1", b"S_12"]),
        st.binary(max_size=40),
    ),
    st.builds(
        lambda command, key: b"*2\r\n$%d\r\n%s\r\n$1\r\n%s" % (len(command), command, key),
        st.sampled_from([b"GET", b"GETSET", b"CLIENT", b"G1"]),
        st.binary(max_size=10),
    ),
    st.binary(max_size=LIMIT),
)


@given(st.lists(_ANY_REQUEST, min_size=1, max_size=40), st.integers(10, 90))
@settings(max_examples=100, deadline=None)
def test_a_text_has_the_name_it_would_have_had_alone(raws: list[bytes], limit: int) -> None:
    """Whatever was named before: literals and gaps name what the expressions would."""
    texts = pa.array(dict.fromkeys(seen(raw, limit) for raw in raws), pa.string())
    expected = [
        tuple(column[0].as_py() for column in protocols.name_at_length(texts[at : at + 1]).values())
        for at in range(len(texts))
    ]
    for _ in range(2):
        columns = protocols.name_requests(texts)
        found = list(zip(*(column.to_pylist() for column in columns.values()), strict=True))
        assert found == expected


def test_most_texts_need_no_expressions() -> None:
    def texts(number: int) -> pa.StringArray:
        raws = [
            f"GET /api/orders/{number}?q={number} HTTP/1.1\r\n".encode(),
            f"*2\r\n$3\r\nGET\r\n$9\r\nkey:{number:05}\r\n".encode(),
            message(b"B", b"\0S_1\0\0\0" + b"%05d" % number),
            message(b"Q", f"SELECT 'a' WHERE id = {number:05} AND n = 'x{number:04}'\0".encode()),
            b"unknown to all",
        ]
        return pa.array([seen(raw, 4096) for raw in raws])

    at_length: list[int] = []

    def name(left: pa.StringArray) -> templates.Columns:
        at_length.append(len(left))
        return protocols.name_at_length(left)

    known = templates.Known(("protocol", "endpoint", "statement"), name, protocols.settle)
    names = [column.to_pylist() for column in known.name(texts(1)).values()]
    assert names[1] == ["GET /api/orders/{id}", "GET", "", "SELECT ? WHERE id = ? AND n = ?", ""]
    for number in range(2, 100):
        assert [column.to_pylist() for column in known.name(texts(number)).values()] == names
    assert at_length == [5]


def test_a_number_is_not_nothing() -> None:
    assert named("GET /a/12 HTTP/1.1\\x0d") == ("http", "GET /a/{id}", "")
    assert named("GET /a/ HTTP/1.1\\x0d") == ("http", "GET /a/", "")


def test_a_length_that_is_a_quote_is_none() -> None:
    sql = "SELECT x FROM tab1 WHERE a  = 'bc'"
    assert message(b"Q", sql.encode() + b"\0")[4:5] == b"'"
    assert named(query(sql)) == ("postgresql", "SELECT x FROM tab1 WHERE a = ?", "")


def test_answers() -> None:
    def packed(raw: bytes) -> int:
        padded = raw.ljust(12, b"\0")
        return padded[0] | int.from_bytes(padded[9:12], "little") << 8

    cases = [
        ("http", b"HTTP/1.1 200 OK", 200, False),
        ("http", b"HTTP/1.1 404 Not", 404, False),
        ("http", b"HTTP/1.0 503 Bad", 503, True),
        ("http", b"nonsense", 0, False),
        ("postgresql", b"E\0\0\0\x50SERROR\0", 0, True),
        ("postgresql", b"T\0\0\0\x1f", 0, False),
        ("redis", b"-ERR unknown", 0, True),
        ("redis", b"+OK\r\n", 0, False),
        ("", b"-ERR", 0, False),
        ("redis", b"HTTP/1.1 500 x", 0, False),
    ]
    judged = protocols.judge_answers(
        pa.array([case[0] for case in cases]),
        pa.chunked_array([[packed(case[1]) for case in cases]]),
    )
    found = list(zip(judged["status"].to_pylist(), judged["error"].to_pylist(), strict=True))
    assert found == [case[2:] for case in cases]


@given(st.lists(st.binary(max_size=20)))
@settings(max_examples=100, deadline=None)
def test_payload_is_the_bytes_themselves(raws: list[bytes]) -> None:
    """Unless they hold `\\xHH` themselves, which a buf() does not tell apart."""
    raws = [raw for raw in raws if not re.search(rb"\\x[0-9a-f]{2}", raw)]
    first = pa.array([seen(raw) for raw in raws], pa.string())
    assert protocols.raw_bytes(first).to_pylist() == raws
