"""What the machine offers: memory, control groups, threads."""
