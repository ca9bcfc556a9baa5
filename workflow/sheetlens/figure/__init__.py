"""Every figure, one style."""
