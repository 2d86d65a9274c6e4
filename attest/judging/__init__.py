"""The parts of a decision: what is asked, what was verified, and one module per kind of rule."""
