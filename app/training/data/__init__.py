"""The owner's photos: read, examined once, judged, and split honestly."""
