"""A module a verb: each prints what the layers below found or did, and decides nothing."""
