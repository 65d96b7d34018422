"""Example scenarios that ship with the package; a bare name on the command line finds them."""
