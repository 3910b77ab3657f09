"""One file per pipeline: a generator from the stream's items to images."""
