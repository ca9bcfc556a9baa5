"""From the bytes of a file to pixels, in processes with limits."""
