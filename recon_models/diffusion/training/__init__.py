"""How the diffusion networks were made: scans of hearts, networks, training, export. Needs the extra ``train``."""
