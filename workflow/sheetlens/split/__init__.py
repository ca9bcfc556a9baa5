"""Training, validation and test parts, what belongs together, and what straddles them."""
