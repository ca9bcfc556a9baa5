"""The commands that the rules call, one module for each phase."""
