"""Cartesian sampling: noise, coils, GRAPPA, SENSE, compressed sensing, partial Fourier."""
