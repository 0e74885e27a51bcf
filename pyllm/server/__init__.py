"""The HTTP server behind `pyllm serve`."""
