"""What runs requests: scheduling, steps, the thread that owns them."""
