"""Echo-planar imaging: ramp sampling, reversed lines, Nyquist ghosts."""
