"""X-ray CT: projections in, images in Hounsfield units out."""
