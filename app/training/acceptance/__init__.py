"""Is a trained bundle better than the one that serves? Calibration, comparison, gate, report."""
