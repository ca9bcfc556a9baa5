"""One module for each kind of source that the config can name."""
