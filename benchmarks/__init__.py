"""Benchmarks against a real server process; README.md describes the method."""
