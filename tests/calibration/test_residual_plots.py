"""The pictures of a fit show every run of every ladder, with the law's own error in sight."""

from __future__ import annotations

import pytest
from synthetic import SEVERAL, Truth, write_bundle
from test_fit import fit

from sim.calibration.residual_plots import plot_residuals, residuals, stage_figure


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "b", cases=SEVERAL[:3], segments=4)


@pytest.fixture(scope="module")
def rows(bundle):
    return residuals([bundle], fit([bundle], name="several"))


def test_every_run_and_rung_that_holds_stands_beside_its_law(rows):
    assert rows.groupby("stage").size().to_dict() == {"decode": 7, "scale": 12, "encode": 12, "mux": 12}
    assert ((rows["measured_s"] / rows["fitted_s"] - 1).abs() < 0.08).all()
    assert (rows["low_s"] <= rows["fitted_s"]).all()
    assert (rows["fitted_s"] <= rows["high_s"]).all()
    decode = rows[(rows["stage"] == "decode") & (rows["ladder"] == "small")]
    assert set(decode["size"]) == {640 * 360}


def test_a_wrong_law_shows_as_a_residual(bundle, tmp_path):
    dear = write_bundle(tmp_path / "dear", truth=Truth().but(encode_cpu_s_per_pixel=8.8e-9), cases=SEVERAL[:3])
    wrong = residuals([bundle], fit([dear], name="dear")).set_index("stage").loc["encode"]
    assert (wrong["measured_s"] / wrong["fitted_s"] < 0.8).all()


def test_the_figures_ask_a_question_and_name_their_units(rows, bundle, tmp_path):
    axes = stage_figure("encode", rows[rows["stage"] == "encode"]).axes
    assert all(of.get_title().endswith("?") for of in axes)
    assert [of.get_xlabel() for of in axes] == ["fitted, ms per frame", "pixels of the picture", "cores in use, %"]
    paths = plot_residuals([bundle], fit([bundle], name="several", draws=20), tmp_path / "plots")
    assert [path.name for path in paths] == ["decode.svg", "scale.svg", "encode.svg", "mux.svg"]
    assert all(path.read_text(encoding="utf-8").startswith("<?xml") for path in paths)
