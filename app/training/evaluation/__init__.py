"""Accuracy of a bundle on labelled photos: comparisons, rates with intervals, curves, reports."""
