"""Programs that are made from another file's."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackledger import catalog
from stackledger.capture.variants import derived
from stackledger.errors import StackledgerError

ORIGIN = """#!/usr/bin/env bpftrace
// some_io   Times something.
//
// Emits:     some_io(ts_ns)
// Needs:     bpftrace >= 0.17; tracepoint:a:one, two
// Grade:     exact

tracepoint:a:one
/args->x > 0/
{
  if (args->x == 1) {
    @[args->xs] = $args->x;
  }

  @s.args->x = 1;
}

tracepoint:a:one_more
{
  @ = args->x;
}

tracepoint:a:one
{
  // @use block
}
"""

VARIANT = """// @from some_io
// @hook tracepoint:a:one = kfunc:f; args->x = (args->p->x); args->y = 0
// @hook tracepoint:a:one = kfunc:g; args->x = args->q
BEGIN { @ = 1; }
"""

RESULT = """BEGIN { @ = 1; }
// some_io   Times something.
//
// Emits:     some_io(ts_ns)
// Needs:     bpftrace >= 0.17; tracepoint:a:one, two
// Grade:     exact

kfunc:f
/(args->p->x) > 0/
{
  if ((args->p->x) == 1) {
    @[args->xs] = $args->x;
  }

  @s.args->x = 1;
}
kfunc:g
/args->q > 0/
{
  if (args->q == 1) {
    @[args->xs] = $args->x;
  }

  @s.args->x = 1;
}

tracepoint:a:one_more
{
  @ = args->x;
}

kfunc:f
{
  // put in
}
kfunc:g
{
  // put in
}
"""


@pytest.fixture(autouse=True)
def some_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some_io.bt"
    path.write_text(ORIGIN)
    probe = catalog.read_probe(path)
    monkeypatch.setattr(catalog, "probes", lambda: {"some_io": probe})


def _unfolded(template: str) -> str:
    return template.replace("// @use block", "// put in")


def test_a_probe_on_two_other_hooks() -> None:
    assert derived(VARIANT, _unfolded) == RESULT


def test_on_a_functions_return_the_last_probe_is_put_first() -> None:
    variant = VARIANT.replace("kfunc:g", "kretfunc:g")
    text = derived(variant, _unfolded)
    first, last = text.index("@[args->xs]", text.index("kretfunc:g")), text.index("put in")
    assert text.index("kfunc:f\n/(args->p->x) > 0/") < text.index("kretfunc:g\n{\n  // put in")
    assert last < first
    assert text.count("put in") == text.count("@[args->xs]") == 2


def test_a_probe_that_is_left_out() -> None:
    text = derived(VARIANT + "// @hook tracepoint:a:one_more = none\n", _unfolded)
    assert text == RESULT.replace("tracepoint:a:one_more\n{\n  @ = args->x;\n}\n", "")


def test_a_program_of_its_own_stays_as_it_is() -> None:
    assert derived(ORIGIN, _unfolded) == ORIGIN


def test_the_origin_of_a_variant(tmp_path: Path) -> None:
    path = tmp_path / "some_io.fentry.bt"
    path.write_text(ORIGIN.replace("// Grade:     exact\n", "// Grade:     exact\n//\n" + VARIANT))
    assert catalog.read_probe(path).origin == "some_io"
    assert catalog.probes()["some_io"].origin == "some_io"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("@from some_io", "@from other_io", "does not exist: other_io"),
        ("a:one = kfunc:g", "a:on = kfunc:g", "its origin lacks: tracepoint:a:on"),
    ],
)
def test_what_is_not_there(old: str, new: str, said: str) -> None:
    with pytest.raises(StackledgerError, match=said):
        derived(VARIANT.replace(old, new), _unfolded)
