"""MR fingerprinting: time courses of signals matched with a dictionary of what spins can do."""
