"""What is wrong with this scan: measures in, findings out."""
