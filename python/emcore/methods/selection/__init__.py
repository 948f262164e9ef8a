"""How many: components of a decomposition, clusters of a clustering."""
