"""The same sheet twice: signatures of pictures, and the search for pairs."""
