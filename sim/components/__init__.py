"""The parts of a platform; none knows another, `sim.assembly` joins them."""
