"""The service map: boxes apart, every arrow with a place, cycles and loners too."""

from __future__ import annotations

import pytest

from stackledger.report.requestdata import ServiceRow, ServiceTime
from stackledger.report.servicemap import CLIENTS, service_map


def edge(caller: str | None, callee: str, calls: int = 10, **more: object) -> ServiceRow:
    given = {"traced": True, "mean_ns": 5e6, "errors": 0} | more
    return ServiceRow(caller, callee, calls=calls, **given)  # type: ignore[arg-type]


CHAIN = [edge(None, "nginx"), edge("nginx", "shop"), edge("shop", "postgres", 40)]
TREE = [edge(None, "nginx"), *(edge("nginx", f"app{n}", n + 1) for n in range(5))]
LOOP = [*CHAIN, edge("postgres", "nginx"), edge("shop", "shop")]
ISLAND = [*CHAIN, edge("cron", "redis"), edge("redis", "cron")]


@pytest.mark.parametrize("edges", [CHAIN, TREE, LOOP, ISLAND])
def test_boxes_do_not_overlap_and_fit(edges: list[ServiceRow]) -> None:
    drawn = service_map(edges, {})
    assert drawn is not None
    names = {one.caller or CLIENTS for one in edges} | {one.callee for one in edges}
    assert {box.name for box in drawn.boxes} == names
    assert (len(drawn.arrows), drawn.left_out) == (len(edges), 0)
    places = [(box.x, box.y) for box in drawn.boxes]
    for number, (x, y) in enumerate(places):
        assert 0 <= x <= drawn.width - drawn.box_width
        assert 0 <= y <= drawn.height - drawn.box_height
        for other_x, other_y in places[:number]:
            assert abs(x - other_x) >= drawn.box_width or abs(y - other_y) >= drawn.box_height
    for arrow in drawn.arrows:
        assert 0 <= arrow.x <= drawn.width
        assert 0 <= arrow.y <= drawn.height


def test_a_chain_goes_from_left_to_right_and_says_its_times() -> None:
    edges = [*CHAIN[:2], edge("shop", "10.0.0.9:6379", 1, traced=False, errors=None)]
    drawn = service_map(edges, {"shop": ServiceTime("app", 10, 2e6)})
    assert drawn is not None
    assert [box.name for box in drawn.boxes] == [CLIENTS, "nginx", "shop", "10.0.0.9:6379"]
    assert [box.x for box in drawn.boxes] == sorted({box.x for box in drawn.boxes})
    assert [box.lines for box in drawn.boxes] == [
        [],
        [],
        ["app", "self 2.00 ms"],
        ["not traced"],
    ]
    assert [(one.calls, one.mean) for one in drawn.arrows][-1] == ("1 call", "5.00 ms")
    assert drawn.arrows[0].width > drawn.arrows[-1].width


def test_hundreds_of_services_leave_a_map_that_can_be_read() -> None:
    edges = [edge(None, "nginx"), *(edge("nginx", f"app{n}") for n in range(300))]
    drawn = service_map(edges, {})
    assert drawn is not None
    assert len(drawn.boxes) == 24
    assert len(drawn.arrows) + drawn.left_out == 301
    assert service_map([], {}) is None
