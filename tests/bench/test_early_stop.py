from __future__ import annotations

from tests.bench.early_stop import LOOKS, report, stopped_at

HEALTHY = {"fault": "", "outcome": "healthy", "true_codes": "", "acceptable_primaries": ""}


def row(**changes: str) -> dict[str, str]:
    ill = {"folder": "a/run0", "family": "ns", "data": "ring8", "fault": "d-too-fast", "outcome": "ill",
           "visible": "1", "true_codes": "GD201", "acceptable_primaries": "GD201"}  # fmt: skip
    return {**ill, **changes}


A, B = {"a": ("GD201", 0.9)}, {"b": ("GD301", 0.6)}


def looks(failing, since: float):  # type: ignore[no-untyped-def]
    places = {round(at * back, 6) for at in LOOKS for back in (1.0, 0.9, 0.8)}
    return {place: failing if place >= since else {} for place in places}


def test_when_a_rule_stops_a_run() -> None:
    assert stopped_at(looks(A, 0.5), (), 0.0) == (0.5, "GD201")
    assert stopped_at(looks(A, 0.5), (0.9, 0.8), 0.0) == (0.65, "GD201")  # 0.8 of it is the first past a half
    assert stopped_at(looks(A, 0.5), (), 0.95) is None
    assert stopped_at({}, (), 0.0) is None
    other_before = {place: A if place >= 0.5 else B for place in looks(A, 0)}
    assert stopped_at(other_before, (0.9, 0.8), 0.7) == (0.65, "GD201")
    assert stopped_at(other_before, (0.9, 0.8), 0.0) == (0.05, "GD301")


def test_the_table_counts() -> None:
    text = report(
        [row(), row(), row(**HEALTHY), row(**HEALTHY)],
        [looks(A, 0.5), looks({}, 0), looks({}, 0), looks(A, 0.9)],
    )
    assert "4 runs: 2 ill that log what shows it, 2 healthy, 0 healthy with a true mechanism" in text
    assert "a check at the end fails 1/2 (0.09-0.91) ill, 1/2 (0.09-0.91) healthy, 0/0" in text
    lines = text.splitlines()
    assert lines[3].split()[:6] == ["at", "once", "0.0", "1/2", "(0.09-0.91)", "25%"]
    assert "1/2" in lines[3].split("25%")[1]
