import numpy as np
import pytest

from scenarios.law import Constant, Exponential, Lognormal, Observed, Uniform, Weibull
from sim.sampling import law, stream

LAWS = [
    Constant(kind="constant", mean_s=100.0),
    Exponential(kind="exponential", mean_s=100.0),
    Lognormal(kind="lognormal", mean_s=100.0, cv=1.5),
    Weibull(kind="weibull", mean_s=100.0, shape=0.7),
    Uniform(kind="uniform", low_s=50.0, high_s=150.0),
    Observed(kind="observed", values_s=(40.0, 60.0, 200.0)),
]


@pytest.mark.parametrize("spec", LAWS, ids=lambda spec: spec.kind)
def test_draws_have_the_mean_and_survival_of_their_law(spec):
    one = law(spec)
    drawn = one.draw(stream(1, 0, "test").random(200_000))
    assert one.mean_s == pytest.approx(100.0)
    assert drawn.mean() == pytest.approx(100.0, rel=0.015)
    for age_s in (30.0, 70.0, 130.0):
        assert (drawn > age_s).mean() == pytest.approx(float(one.survival(np.array([age_s]))[0]), abs=0.005)


@pytest.mark.parametrize("spec", LAWS, ids=lambda spec: spec.kind)
def test_remaining_life_is_the_law_given_the_age(spec):
    one, age_s = law(spec), 45.0
    drawn = one.draw(stream(1, 0, "test").random(400_000))
    given = drawn[drawn > age_s]
    remaining = one.draw_remaining(np.full(100_000, age_s), stream(2, 0, "test").random(100_000))
    assert remaining.min() >= age_s
    assert remaining.mean() == pytest.approx(given.mean(), rel=0.02)


def test_the_extremes_of_a_uniform_number_give_finite_durations():
    for spec in LAWS:
        drawn = law(spec).draw(np.array([0.0, 1.0 - 2**-53]))
        assert np.isfinite(drawn).all()
        assert (drawn >= 0).all()


def test_streams_are_named_and_do_not_move_each_other():
    first = stream(1, 0, "audience").random(4)
    assert (first == stream(1, 0, "audience").random(4)).all()
    for other in (stream(1, 0, "chat"), stream(1, 1, "audience"), stream(2, 0, "audience")):
        assert not (first == other.random(4)).any()
