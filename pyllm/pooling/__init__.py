"""Embeddings and scores: one answer for a whole text."""
