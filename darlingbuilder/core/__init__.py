"""What needs nothing of the outside world but files: settings, errors, paths, file contents."""
