"""Scripts that measure; RESULTS.md keeps the latest. A package, so that nobody else's of this name is imported."""
