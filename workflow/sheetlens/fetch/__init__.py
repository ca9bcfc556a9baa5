"""Where sheets come from: the engine that downloads what the sources name."""
