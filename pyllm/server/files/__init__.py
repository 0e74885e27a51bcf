"""Files that clients upload, and that batches write: on disk, for as long as the server runs."""
