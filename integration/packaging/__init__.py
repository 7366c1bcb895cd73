"""The distributions that users install: wheel and sdist, and what a machine without zig makes of them."""
