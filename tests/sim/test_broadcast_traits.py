"""What each broadcast is: drawn for its own id, so that one trait moves no other."""

from __future__ import annotations

import numpy as np
import pytest
from platforms import scenario
from pydantic import ValidationError
from workloads import SMALL_SOURCE, SOURCE, table, workload

from scenarios.catalogue import load_catalogue
from scenarios.ladder import Ladder, Source
from scenarios.scenario import Horizon

MIX = ({"source": SOURCE, "share": 0.7}, {"source": SMALL_SOURCE, "share": 0.3})
REGIONS = ({"name": "east", "share": 0.4, "utc_offset_h": 9.0}, {"name": "west", "share": 0.6, "utc_offset_h": -8.0})
LARGE = {"peak_concurrent": 5000.0}
COLUMNS = ("publish_s", "end_s", "weight", "source", "content", "partner", "region", "star", "expected_viewers")


def test_without_traits_all_are_alike():
    plain = table(workload())
    assert set(plain.source.tolist()) == set(plain.region.tolist()) == {0}
    assert set(plain.content.tolist()) == {1.0}
    assert set(plain.star.tolist()) == {-1}
    assert not plain.partner.any()


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"source_mix": MIX}, "source"),
        ({"content": {"cv": 0.5}}, "content"),
        ({"regions": REGIONS}, "region"),
        ({"broadcasts": {"partner_share": 0.2}}, "partner"),
    ],
)
def test_a_trait_moves_nothing_else(changes, moved):
    plain, changed = table(workload()), table(workload(**changes))
    different = [name for name in COLUMNS if not np.array_equal(getattr(plain, name), getattr(changed, name))]
    assert different == [moved]


def test_shares_of_sources_content_and_partners_are_those_asked_for():
    spec = workload(
        broadcasts={**LARGE, "partner_share": 0.1},
        source_mix=MIX,
        content={"cv": 0.5},
        audience={"popularity": {"channels": 1000}},
    )
    drawn = table(spec)
    size = len(drawn)
    assert size > 10_000
    assert abs((drawn.source == 1).mean() - 0.3) < 3.5 * np.sqrt(0.21 / size)
    assert drawn.content.mean() == pytest.approx(1.0, abs=3.5 * 0.5 / np.sqrt(size))
    assert drawn.content.std() / drawn.content.mean() == pytest.approx(0.5, rel=0.06)
    assert abs(drawn.partner.mean() - 0.1) < 3.5 * np.sqrt(0.09 / size)
    assert drawn.weight[drawn.partner].min() > drawn.weight[~drawn.partner].max()
    live = drawn.live(3600.0)
    assert drawn.expected_viewers[live].sum() == pytest.approx(1e5, rel=0.05)


def test_broadcasters_are_from_where_it_is_evening():
    evening = {"kind": "harmonic", "harmonics": ({"order": 1, "amplitude": 1.0, "peak_hour": 21.0},)}
    spec = workload(broadcasts={**LARGE, "start_curve": evening}, regions=REGIONS)
    for start_hour, east in ((12.0, 0.643), (5.0, 0.198)):
        drawn = table(spec, horizon=Horizon(start_hour=start_hour, horizon_s=600.0))
        new = drawn.publish_s > 0
        level = [r["share"] * (1 + np.cos((start_hour + r["utc_offset_h"] - 21) * np.pi / 12)) for r in REGIONS]
        assert level[0] / sum(level) == pytest.approx(east, abs=0.0006)
        assert abs((drawn.region[new] == 0).mean() - east) < 3.5 * np.sqrt(east * (1 - east) / new.sum()) + 0.01


LADDER = Ladder.model_validate(
    {
        "segment_s": 2.0,
        "rungs": (
            {"name": "1080p60", "width": 1920, "height": 1080, "fps": 60.0, "bitrate_bps": 6e6},
            {"name": "720p30", "width": 1280, "height": 720, "fps": 30.0, "bitrate_bps": 2.5e6},
        ),
    }
)


def test_a_source_has_the_rungs_that_do_not_enlarge_it():
    assert LADDER.of(Source.model_validate(SOURCE)) is LADDER
    assert [rung.name for rung in LADDER.of(Source.model_validate(SMALL_SOURCE)).rungs] == ["720p30"]
    slow = Source.model_validate(SOURCE | {"fps": 30.0})
    assert [rung.name for rung in LADDER.of(slow).rungs] == ["720p30"]
    with pytest.raises(ValueError, match="no rung of the ladder fits a source of 640x360@30: a ladder never enlarges"):
        LADDER.of(Source.model_validate(SMALL_SOURCE | {"width": 640, "height": 360}))


def test_a_copied_rung_is_whatever_the_publisher_sends():
    rungs = ({**LADDER.rungs[0].model_dump(), "copied": True}, LADDER.rungs[1].model_dump())
    copied = Ladder.model_validate({"segment_s": 2.0, "rungs": rungs})
    own, lower = copied.of(Source.model_validate(SMALL_SOURCE)).rungs
    assert (own.label, own.bitrate_bps, own.copied, lower.name) == ("copied 1280x720@30", 3e6, True, "720p30")
    (own,) = copied.of(Source.model_validate(SMALL_SOURCE | {"bitrate_bps": 2e6})).rungs
    assert own.bitrate_bps == 2e6


def test_what_is_wrong_with_a_workload_is_said():
    wrong = ({**MIX[0], "share": 0.67}, MIX[1])
    with pytest.raises(ValidationError, match=r"the shares of source_mix sum to 0\.97; they must sum to 1"):
        workload(source_mix=wrong)
    with pytest.raises(ValidationError, match=r"the shares of regions sum to 1\.2; they must sum to 1"):
        workload(regions=({**REGIONS[0], "share": 0.6}, REGIONS[1]))
    with pytest.raises(ValidationError, match="region 'east' stands twice"):
        workload(regions=(REGIONS[0] | {"share": 0.6}, REGIONS[0]))
    with pytest.raises(ValidationError, match="session has the mean 60 s, but mean_session_s is 1200"):
        workload(audience={"session": {"kind": "uniform", "low_s": 0.0, "high_s": 120.0}})
    star = {"name": "x", "from_s": 10.0, "to_s": 20.0}
    with pytest.raises(ValidationError, match="star 'x' needs either viewers or share"):
        workload(audience={"popularity": {"stars": (star,)}})
    with pytest.raises(ValidationError, match="star 'x' ends before it begins"):
        workload(audience={"popularity": {"stars": (star | {"to_s": 5.0, "share": 0.1},)}})


def found(**changes):
    return [f"{'.'.join(map(str, f.path))}: {f.message}" for f in scenario(**changes).findings(load_catalogue())]


def test_what_is_wrong_across_parts_is_said():
    assert found() == []
    tiny = {"width": 320, "height": 180, "fps": 30.0, "bitrate_bps": 4e5}
    mix = ({"source": tiny, "share": 1.0},)
    (line,) = found(**{"workload.source_mix": mix})
    assert line.startswith("workload.source_mix.0.source: no rung of the ladder fits a source of 320x180@30")
    stars = tuple({"name": name, "share": 0.6, "from_s": 0.0, "to_s": 100.0} for name in ("a", "b"))
    assert found(**{"workload.audience.popularity": {"stars": stars}}) == [
        "workload.audience.popularity.stars: a, b together ask for 120 % of the peak"
    ]
    raids = {"per_hour": 1e4, "mean_viewers": 1e6}
    assert found(**{"workload.audience.random_raids": raids}) == [
        "workload.audience.random_raids: the raids bring 2e+10 viewers over the run"
    ]
