"""A series of images from few lines each: what one contrast did not sample, the others did."""
