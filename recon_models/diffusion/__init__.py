"""Diffusion tensors: from weighted images to maps of diffusivity, anisotropy and the angles of heart muscle."""
