"""Arrays in, arrays out: physics and reconstruction, one folder per physics. Knows no socket and no MRD."""
