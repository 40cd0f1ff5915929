from __future__ import annotations

import io
import re
import shlex
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from gandoctor.judge.diagnosis import Verdict
from gandoctor.reports import terminal
from tests.reports import samples


def printed(*diagnoses, width: int = 100, lang: str = "en", encoding: str = "utf-8", **more) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=out, width=width, highlight=False)
    terminal.print_summary(list(diagnoses), console, lang, **more)
    out.flush()
    return out.buffer.getvalue().decode(encoding)


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_failing_run() -> None:
    text = flat(printed(samples.failing(), report_path=Path("gandoctor-report.html")))
    for part in (
        "✗ Failing failing · step 19,950",
        "GD201 The discriminator overpowers the generator",
        "% into the run · confidence",
        "(prior, not yet calibrated)",
        "Do first",
        "lr_G 0.0001 → 0.001",
        "symptoms could not be examined. To see more, log: • grids of samples: save a grid of 64 samples ",
        "Reading 1 problem: log.csv, line 17: 7 fields, 5 expected",
        "Report gandoctor-report.html",
    ):
        assert part in text
    assert text.count("•") == 2 + 3  # two further remedies, three signals to log


def test_health_is_said_of_what_was_seen_only() -> None:
    text = flat(printed(samples.healthy()))
    assert "✓ No illness seen healthy · step 19,950" in text
    assert "No illness seen in: losses, quality metrics." in text
    assert "net_15000.pt) · best fid," in text
    assert "is healthy" not in text


@pytest.mark.parametrize("sample", samples.ALL, ids=lambda f: f.__name__)
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [80, 200])
def test_lines_fit_and_hold_no_control_character(sample, lang, width) -> None:
    diagnosis = sample()
    text = printed(diagnosis, width=width, lang=lang)
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"}
    assert not bad
    hint = terminal.map_hint(diagnosis, lang)
    lines = [line for line in text.splitlines() if line.strip() and line.strip() not in hint]
    assert max(cell_len(line.rstrip()) for line in lines) <= min(width, 120)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gb18030"])
def test_any_encoding_of_the_terminal_will_do(encoding) -> None:
    text = printed(samples.failing(), samples.healthy(), samples.unknown(), encoding=encoding)
    assert "GD201" in text


def test_colours_are_for_terminals_and_honour_no_color(monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def colours() -> set[str]:
        out = io.StringIO()
        terminal.print_summary([samples.failing()], Console(file=out, force_terminal=True, width=100))
        return set(re.findall(r"\x1b\[[\d;]*(?:3[0-7]|4[0-7])m", out.getvalue()))

    assert colours()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours()


def test_several_runs_are_a_table_worst_first_then_three_summaries() -> None:
    ill = [samples.failing() for _ in range(4)]
    text = printed(samples.healthy(), *ill, samples.unknown(), width=120)
    rows = [line.split()[0] for line in text.splitlines() if "19,950" in line]
    assert rows[:6] == ["✗", "✗", "✗", "✗", "?", "✓"]
    assert "The worst 3 of 4 ill runs:" in text
    assert text.count("Do first") == 3


def test_nothing_read_is_said() -> None:
    assert printed() == "No training log was read.\n"
    assert "No series was read." in printed(samples.nothing())


# --- columns that were not understood ---------------------------------------------------------------------


def test_the_hint_ends_in_a_command_to_paste() -> None:
    diagnosis = samples.unknown()
    hint = terminal.map_hint(diagnosis)
    assert hint.startswith("No loss of D or G was recognised. The columns were read as:")
    assert hint.splitlines()[-1] == terminal.map_command(diagnosis)
    words = shlex.split(terminal.map_command(diagnosis))
    assert words[:2] == ["gandoctor", "diagnose"]
    assert words[3:] == ["--map", "Error=D.loss", "--map", "{{ 7 * 7 }}=G.loss"]


def test_the_command_is_one_line_however_narrow_the_terminal() -> None:
    diagnosis = samples.unknown()
    assert terminal.map_command(diagnosis) in printed(diagnosis, width=80).splitlines()


def test_only_the_missing_network_is_asked_for() -> None:
    base = samples.failing()
    [view] = base.views
    series = {tag: one for tag, one in view.series.items() if tag != "loss_G"}
    roles = {tag: role for tag, role in view.roles.items() if tag != "loss_G"}
    alone = replace(base, views=(replace(view, series=series, roles=roles, _cache={}),))
    assert terminal.map_hint(alone).startswith("No loss of G was recognised.")
    assert shlex.split(terminal.map_command(alone))[3:] == ["--map", "TAG=G.loss"]


@pytest.mark.parametrize(
    "sample", [samples.healthy, samples.failing, samples.two_pairs, samples.never_finite]
)
def test_no_hint_where_both_networks_are_known(sample) -> None:
    assert terminal.map_hint(sample()) == ""


def test_roles_are_shown_with_their_certainty() -> None:
    out = io.StringIO()
    terminal.print_roles([samples.two_pairs(), samples.unknown()], Console(file=out, width=100))
    text = flat(out.getvalue())
    assert re.search(r"D_A D\.loss\.total (unsure )?0\.\d\d 400 0–19,950", text)
    assert "<svg onload=alert(2)> -.other – 400" in text
    assert "\x1b" not in text


def test_a_verdict_without_a_finding_still_prints() -> None:
    text = printed(replace(samples.failing(), verdict=Verdict.UNKNOWN, primary=None, prescription=()))
    assert "? Cannot tell" in text
