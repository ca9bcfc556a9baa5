"""From a photograph to one row of the image set: decode, resize, pack."""
