"""One thin file per command group: parse, one call, render."""
