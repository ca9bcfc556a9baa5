"""A trained model on other people's sheets."""
