"""The consumer's side: read what was published, verify all of it, remember what was seen."""
