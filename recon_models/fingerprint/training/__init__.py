"""How the fingerprinting network was made: scenes, aliasing, examples, training, export. Needs the extra ``train``."""
