"""Quantitative maps: fits of T1, T2, T2* and ECV with their standard deviations, and the networks beside them."""
