"""Errors for people."""


class UserError(Exception):
    """Something a person can put right: the message says what was wrong, where, and what to do."""
