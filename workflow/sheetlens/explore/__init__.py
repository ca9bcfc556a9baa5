"""Several networks on one data set, ranked on the validation part, with their costs."""
