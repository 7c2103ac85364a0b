"""Training tasks: a model, its data, its losses and its quick validation."""
