"""Building, training, calibrating and evaluating bundles. Never imported by the server."""
