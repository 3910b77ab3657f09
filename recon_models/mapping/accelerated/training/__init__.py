"""Training of the regulariser of `recon_models.mapping.accelerated.unrolled`; needs PyTorch."""
