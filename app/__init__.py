"""Facetwin: self-hosted face verification with verdicts priced in error rates."""

__version__ = "0.1.0"
