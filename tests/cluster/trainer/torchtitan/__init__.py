"""Stand-in for the package of that name; see `train`."""
