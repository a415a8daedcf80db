"""Adapting the published embedding to this service's own detector, alignment and photos."""
