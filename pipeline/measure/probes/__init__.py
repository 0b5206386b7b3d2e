"""Probes: what a load does not show and a capacity plan needs, each measured for itself.

What a request costs the origin, what asking for permission costs a publisher, and what the death of an encoder process
costs a stream. `session.run_probes` runs them all; each other module is one probe, or the server that it asks.
"""
