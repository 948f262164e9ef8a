"""The methods, one folder each: its function, its estimator, its passes over what is not in memory."""
