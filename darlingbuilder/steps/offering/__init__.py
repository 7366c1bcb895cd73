"""What another machine has to be told to build here, and in which forms."""
