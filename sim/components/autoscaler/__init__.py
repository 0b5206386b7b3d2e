"""How the fleet grows and shrinks: one object for each kind of autoscaler, and what acts on their answers."""

from sim.components.autoscaler.autoscaling import AUTOSCALERS, Autoscaling
from sim.components.autoscaler.fleet_seen import Autoscaler, Bounds, ScalableFleet
from sim.components.autoscaler.provisioner import KeepingFleet, ProvisionedFleet

__all__ = [
    "AUTOSCALERS",
    "Autoscaler",
    "Autoscaling",
    "Bounds",
    "KeepingFleet",
    "ProvisionedFleet",
    "ScalableFleet",
]
