"""How the fleet grows and shrinks: one object for each kind of autoscaler, and what acts on its decisions."""
