"""Batches: many requests in one file, each line answered as its route would answer it.

`pyllm run-batch` and /v1/batches share everything here but the jobs.
"""
