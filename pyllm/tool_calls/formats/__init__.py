"""How families of models write tool calls: one file per kind of writing, one table for all."""
