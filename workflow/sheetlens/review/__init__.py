"""A person's look at doubtful sheets: a queue of them, a page to decide on, and corrections that become labels."""
