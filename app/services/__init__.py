"""Use cases: enrol, verify, keep the gallery, choose the bundle."""
