"""What there is to know of the builder at this moment, a collector a module; each answers whatever is missing."""
