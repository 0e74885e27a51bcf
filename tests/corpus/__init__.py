"""Malformed model files, each with the error it must give.

    python -m tests.corpus              all rows, quick mutations
    python -m tests.corpus --mutants N  also N random splices

`rows.py` lists them all. `container.py`, `places.py`, `metadata.py`, `tensors.py` and `offsets.py`
hold the rows about the GGUF container (A), `hyperparameters.py` those about the numbers inside (B),
`mutations.py` truncations, bit flips and splices of a valid file.
"""
