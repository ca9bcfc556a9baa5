"""From unlabelled photographs to a data set: which sheet next, a page to label on, and what the labels are worth."""
