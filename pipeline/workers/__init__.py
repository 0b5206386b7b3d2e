"""Ladders encoded in worker processes: what a codec library does to its process, other broadcasts survive."""
