"""Groups of settings that several methods read; none of them makes a method by itself."""
