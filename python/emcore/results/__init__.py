"""What a workflow gives back, and the one file it is kept in."""
