"""What a pretrained backbone sees of each sheet, computed once, and the linear heads that read it."""
