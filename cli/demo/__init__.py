"""The demo: a whole release of four products, made of real files, by the commands that people type."""
