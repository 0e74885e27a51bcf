"""A model as a list of ops: recorded once, fused, planned into an arena, compiled for the core."""
