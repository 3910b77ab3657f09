"""MRI along any path through k-space: radial, spiral, and whatever the stream describes."""
