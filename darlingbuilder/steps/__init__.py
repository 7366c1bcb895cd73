"""What a builder consists of: one module a part, in the order of ``plan.build``."""
