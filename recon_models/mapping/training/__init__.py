"""Training of the networks for maps; needs PyTorch and onnx, which the node itself does not."""
