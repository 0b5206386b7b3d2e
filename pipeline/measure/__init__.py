"""Measuring: the reference pipeline under rising load, judged by its backlog, written as a bundle."""
