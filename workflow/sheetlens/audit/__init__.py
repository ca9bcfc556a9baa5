"""What may be wrong with a data set or a model; each audit writes one finding."""
