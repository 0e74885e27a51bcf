"""From logits to the next token: what may be asked, and the rules that need Python."""
