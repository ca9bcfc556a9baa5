"""The formats of photographs: what a file is, and how each kind is decoded."""
