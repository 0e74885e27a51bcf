"""From token ids to text: bytes, stop strings, special tokens."""
