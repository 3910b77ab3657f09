"""How the low-dose networks were made: pairs of images, networks, training, export. Needs the extra ``train``."""
