"""What simulation, tests and training share: phantoms, coils, sampling."""
