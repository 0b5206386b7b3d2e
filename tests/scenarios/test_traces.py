"""A CSV of viewers as an architect has it becomes a curve, or is refused line by line (faults S28, S29)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios import load_scenario
from scenarios.curves import HarmonicCurve, TraceCurve
from scenarios.errors import ScenarioError
from scenarios.reading.load import resolve_text
from scenarios.reading.trace_file import read_trace
from scenarios.scenario_file import open_scenario
from scenarios.trace_rows import whole_days_s

QUARTER_H = [f"2026-11-2{2 + step // 96}T{step // 4 % 24:02d}:{step % 4 * 15:02d}Z" for step in range(192)]
ROWS = [f"{at},{1000 + 10 * step}" for step, at in enumerate(QUARTER_H)]
WHATIF = "extends: baseline\nset:\n  workload.audience.curve: {kind: trace, file: day.csv}\n"


def refusals(folder: Path, rows: list[str], head: str = "t_utc,viewers", column: str | None = None) -> list[str]:
    (folder / "day.csv").write_text("\n".join([head, *rows]) + "\n")
    with pytest.raises(ScenarioError) as error:
        read_trace(folder / "day.csv", column, shown_as="day.csv")
    return str(error.value).splitlines()


def changed(line: int, *rows: str) -> list[str]:
    """Return good rows with one, at a line of the file, replaced; line 2 is the first after the head."""
    return [*ROWS[: line - 2], *rows, *ROWS[line - 1 :]]


FAULTS = {
    "gap": (changed(9), "day.csv:9:1: 30 min after the sample above it; the other steps are 15 min; fill the gap"),
    "duplicate": (changed(9, ROWS[6], ROWS[7]), "day.csv:9:1: the same time as the sample before; keep one sample"),
    "unsorted": ([*ROWS[1:9], ROWS[0], *ROWS[9:]], "day.csv:10:1: 2 h before the sample above it; sort the rows"),
    "nan": (changed(9, "2026-11-22T01:45Z,nan"), "day.csv:9:1: viewers: must be finite"),
    "empty cell": (changed(9, "2026-11-22T01:45Z,"), "day.csv:9:1: viewers: empty is no number"),
    "negative": (changed(9, "2026-11-22T01:45Z,-3"), "day.csv:9:1: -3 is below 0; a trace counts viewers or streams"),
    "cells": (changed(9, "2026-11-22T01:45Z,3,4"), "day.csv:9:1: 3 cells under a head line of 2"),
    "no time": (changed(9, "yesterday,3"), "day.csv:9:1: 'yesterday' is no time; write 2026-11-22T18:15, or seconds"),
    "two forms": (changed(9, "6300,3"), "day.csv:9:1: '6300' is written otherwise than the times above it"),
    "empty": ([], "day.csv:1:1: the trace is empty; at least two samples are needed"),
    "one": (ROWS[:1], "day.csv:2:1: 1 samples are no trace; at least two moments are needed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path, fault):
    rows, message = FAULTS[fault]
    assert refusals(tmp_path, rows)[0].startswith(message)


def test_a_clock_put_forward_or_back_is_named(tmp_path):
    local = [row.replace("Z", "") for row in ROWS]
    forward = [*local[:8], *local[12:]]  # 02:00 to 02:45 do not exist
    (line,) = refusals(tmp_path, forward)
    assert line.startswith("day.csv:10:1: 1 h 15 min after the sample above it")
    assert "daylight saving time" in line
    back = [*local[:12], *local[8:]]  # 02:00 to 02:45 happen twice
    (line,) = refusals(tmp_path, back)
    assert line.startswith("day.csv:14:1: 45 min before the sample above it")
    assert "daylight saving time" in line
    summer = [row.replace("Z", "+02:00" if number < 8 else "+01:00") for number, row in enumerate(ROWS)]
    lines = refusals(tmp_path, summer)
    assert lines[0] == (
        "day.csv:10:1: the clock jumps: UTC offset +01:00 after +02:00; daylight saving time? write the times in UTC"
    )
    assert lines[-1] == "day.csv: 164 more lines are wrong; mend these first"


def test_columns_are_named_or_summed(tmp_path):
    head, rows = "t,chess,go", [f"{900 * step},{step},{2 * step}" for step in range(96)]
    assert refusals(tmp_path, rows, head) == [
        "day.csv:1:1: 2 columns: chess and go; name one of them as 'column', or 'sum'"
    ]
    assert refusals(tmp_path, rows, head, "ches") == ["day.csv:1:1: no column 'ches'; did you mean 'chess'?"]
    (no_head,) = refusals(tmp_path, rows[1:], rows[0])
    assert no_head.startswith("day.csv:1:1: the head line holds numbers")
    (tmp_path / "day.csv").write_text("\n".join([head, *rows]))
    assert read_trace(tmp_path / "day.csv", "go").levels == tuple(2.0 * step for step in range(96))
    assert read_trace(tmp_path / "day.csv", "sum").levels == tuple(3.0 * step for step in range(96))


def test_times_count_from_the_midnight_of_the_first_day(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefft,v\r\n2026-11-22T14:30+00:00,1\r\n\r\n2026-11-22T14:45+00:00,2\r\n")
    (tmp_path / "b.csv").write_text(f"t,v\n{86400 * 20_000 + 14.5 * 3600},1\n{86400 * 20_000 + 14.75 * 3600},2\n")
    for name in ("a.csv", "b.csv"):
        assert read_trace(tmp_path / name).at_s == (52_200.0, 53_100.0)
    assert read_trace(tmp_path / "a.csv").lines == (2, 4)


def test_a_scenario_takes_its_curve_from_a_file(tmp_path):
    (tmp_path / "day.csv").write_text("\n".join(["t_utc,viewers", *ROWS]))
    (tmp_path / "whatif.yaml").write_text(WHATIF)
    opened = open_scenario(tmp_path / "whatif.yaml")
    curve = opened.value.workload.audience.curve
    assert isinstance(curve, TraceCurve)
    assert curve.levels[:2] == (1000.0, 1010.0)
    assert curve.period_s == 2 * 86_400
    text = resolve_text(opened)
    assert "# day.csv:2" in text
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "resolved.yaml").write_text(text)  # without the file beside it
    assert load_scenario(tmp_path / "alone" / "resolved.yaml") == opened.value


def test_an_extending_file_may_name_another_trace(tmp_path):
    (tmp_path / "day.csv").write_text("\n".join(["t_utc,viewers", *ROWS]))
    (tmp_path / "base.yaml").write_text(WHATIF)
    (tmp_path / "written.yaml").write_text(resolve_text(open_scenario(tmp_path / "base.yaml")))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "day.csv").write_text("t,v\n" + "".join(f"{3600 * hour},{hour}\n" for hour in range(24)))
    for base in ("base.yaml", "written.yaml"):
        text = f"extends: {base}\nset:\n  workload.audience.curve.file: other/day.csv\n"
        (tmp_path / "whatif.yaml").write_text(text)
        assert load_scenario(tmp_path / "whatif.yaml").workload.audience.curve.levels == tuple(map(float, range(24)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../day.csv", "'../day.csv' leads out of the folder of this file; name a file beside or below this one"),
        ("/etc/passwd", "'/etc/passwd' leads out of the folder of this file"),
        ("link.csv", "'link.csv' leads out of the folder of this file"),
        ("dya.csv", "no file 'dya.csv' beside this one; did you mean 'day.csv'?"),
        ("7", "must be the name of a CSV file, not 7"),
    ],
)
def test_a_trace_lies_beside_or_below_its_scenario(tmp_path, name, message):
    home = tmp_path / "home"
    home.mkdir()
    for folder in (home, tmp_path):
        (folder / "day.csv").write_text("\n".join(["t_utc,viewers", *ROWS]))
    (home / "link.csv").symlink_to(tmp_path / "day.csv")
    (home / "whatif.yaml").write_text(WHATIF.replace("day.csv", name))
    with pytest.raises(ScenarioError) as error:
        load_scenario(home / "whatif.yaml")
    assert str(error.value).startswith(f"{home / 'whatif.yaml'}:3:48: {message}")


def test_a_trace_that_does_not_repeat_covers_the_run(tmp_path):
    (tmp_path / "day.csv").write_text("\n".join(["t_utc,viewers", *ROWS[24:130]]))
    (tmp_path / "whatif.yaml").write_text(WHATIF)
    assert load_scenario(tmp_path / "whatif.yaml").workload.audience.curve.period_s is None
    (tmp_path / "late.yaml").write_text(WHATIF + "  horizon.start_hour: 9\n")
    with pytest.raises(ScenarioError, match=r"covers the hours 6 to 32.25, counted from 0:00 .* the run 9 to 33;"):
        load_scenario(tmp_path / "late.yaml")


def test_a_trace_of_going_live_spans_whole_days(tmp_path):
    (tmp_path / "day.csv").write_text("\n".join(["t_utc,viewers", *ROWS[:100]]))
    (tmp_path / "whatif.yaml").write_text(WHATIF.replace("audience.curve", "broadcasts.start_curve"))
    with pytest.raises(ScenarioError, match="a trace of going live must span whole days"):
        load_scenario(tmp_path / "whatif.yaml")


def test_whole_days_end_before_or_at_the_first_time_of_day():
    quarters = [900.0 * step for step in range(97)]
    assert whole_days_s(quarters) == whole_days_s(quarters[:-1]) == 86_400
    assert whole_days_s(quarters[:-2]) is None
    assert whole_days_s([at + 20 * math.sin(at) for at in quarters]) == 86_400  # a logger is late now and then


def test_harmonics_that_go_below_zero_are_refused():
    def curve(*waves):
        harmonics = tuple(dict(zip(("order", "amplitude", "peak_hour"), wave, strict=True)) for wave in waves)
        return HarmonicCurve.model_validate({"kind": "harmonic", "harmonics": harmonics})

    assert curve((1, 1.0, 20.0)).level(8.0) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match=r"go below 0 at 08:00, to -0.3 of the mean; lower the amplitudes"):
        curve((1, 1.0, 20.0), (2, 0.3, 2.0))


NUMBERS = ("0", "900", "1800", "2700", "-5", "nan", "inf", "1e400", "1_0", "٣")
TIMES = ("2026-11-22T00:15", "2026-11-22T00:30Z", "0001-01-01", "9999-12-31T23:59+14:00")
CELLS = st.sampled_from([*NUMBERS, *TIMES, "", "x", '"', "\0", "t", "sum"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5), st.sampled_from([None, "x", "sum"]))
def test_any_text_is_a_trace_or_is_refused_with_its_place(tmp_path_factory, rows, column):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("t,x\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    try:
        samples = read_trace(path, column, shown_as="any.csv")
    except ScenarioError as error:
        assert all(line.startswith("any.csv:") for line in str(error).splitlines())  # noqa: PT017
    else:
        assert TraceCurve(kind="trace", at_s=samples.at_s, levels=(1.0,) * len(samples.levels)).covers_h
