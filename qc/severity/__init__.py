"""How badly motion has spoilt an image, judged by a small network beside the best single measure."""
