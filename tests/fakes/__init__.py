"""Fakes that behave: each passes the contract tests of the adapter that it stands for."""
