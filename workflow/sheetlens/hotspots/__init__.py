"""Which cabinets to test first, and what goes back into the collection's records."""
