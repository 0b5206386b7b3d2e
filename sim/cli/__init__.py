"""The verbs of the simulator. Heavy imports wait until a verb runs."""

from sim.cli.calibration import calibration
from sim.cli.language import language
from sim.cli.reviewing import reviewing
from sim.cli.simulation import simulation

__all__ = ["calibration", "language", "reviewing", "simulation"]
