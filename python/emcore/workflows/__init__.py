"""One module for each question that a microscopist asks."""
