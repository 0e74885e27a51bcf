"""The recipe of the demo model: corpus, tokenizer, training, export, evaluation."""
