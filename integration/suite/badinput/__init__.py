"""The table of bad input, in two parts."""
