"""The demo model's corpus: every sentence in it is written by this program, none is copied."""
