"""The networks, their training on GPU or CPU, and checkpoints."""
