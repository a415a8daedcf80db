"""What verification means, in the standard library and numpy only: no I/O, no framework."""
