"""How good a model is on one collection: a random sample of its answers, looked at by people."""
