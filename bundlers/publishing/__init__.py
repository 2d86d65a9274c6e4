"""Publishing: a channel's release laid out as a static TUF repository on any folder or bucket."""
