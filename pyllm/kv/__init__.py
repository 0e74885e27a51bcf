"""Keys and values of the tokens so far: blocks, budget, types, and prefixes shared and kept."""
