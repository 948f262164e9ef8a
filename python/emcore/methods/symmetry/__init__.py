"""Local symmetry of images: onto which of its copies, shifted, turned or reflected, a patch falls."""
