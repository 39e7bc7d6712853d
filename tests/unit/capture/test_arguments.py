"""Command lines without what may be secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackledger.capture.arguments import hidden, normalised, normalised_rows


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("mysql -psecret --host=db --user root", "mysql -p? --host=? --user ?"),
        ("redis-cli AUTH secret", "redis-cli ? ?"),
        ("/bin/python3.11 -u -m a.app --port=80", "/bin/python3.11 -u -m a.app --port=?"),
        ("python -c print(1) secret", "python -c ? ?"),
        ("java -Dkey=secret -Xmx1g -jar /srv/app.jar secret", "java -D? -X? -jar /srv/app.jar ?"),
        ("node server.js secret", "node server.js ?"),
        ("sh -c secret", "sh -c ?"),
        ("env KEY=secret program", "env ? ?"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_command_line(argv, told):
    assert " ".join(normalised(argv.split(" "))) == told


def test_a_title_that_a_process_gave_itself():
    assert normalised(["postgres: app shop 10.0.0.1(7) secret"]) == ["postgres: ?"]
    assert normalised([]) == []


@given(st.lists(st.text(min_size=1, max_size=12)), st.sampled_from(["curl", "python", "mysql"]))
def test_no_value_survives(words, program):
    """The mark stands in every argument, as the value of an option too."""
    mark = "SEcret77!"
    marked = [f"{word}{mark}" for word in words]
    assert not [word for word in normalised([program, *marked]) if mark in word]


def test_rows_of_several_programs_that_came_mixed():
    begun = [(1, 7), (1, 8), (1, 7), (1, 8), (2, 9)]
    texts = ["python", "curl", "app.py", "https://a?key=secret", "secret"]
    told = normalised_rows(begun, [0, 0, 1, 1, 5], texts).to_pylist()
    assert told == ["python", "curl", "app.py", "?", "?"]


def test_the_shape_of_a_line():
    line = '{"type": "value", "data": ["request",12,"GET /ž?key=s3cret'.encode()
    assert hidden(line) == b'{"type": "value", "data": ["request",00,"xxx /xx?xxx=x0xxxx'
    other = b'{"type": "value", "data": ["secret",12'
    assert hidden(other) == b'{"xxxx": "xxxxx", "xxxx": ["xxxxxx",00'
