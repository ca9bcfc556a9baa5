"""What a file of text is, and its lines as rows."""
