"""Rows grouped without a number that is given: by density, by a mixture, or by more clusters than there are groups."""
