"""Where darlingbuilder meets real systems: machines, a stand-in Darling, and the tests on them."""
