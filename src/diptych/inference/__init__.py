"""A trained run in use: as a function from image to image, on files, and through its codes."""
