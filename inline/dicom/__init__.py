"""DICOM on both sides of the node: projections in, images out."""
