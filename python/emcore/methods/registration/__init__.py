"""Images of one sample laid over one another: pairs, all of them together, and what is carried through."""
