"""A build sees devices below /dev, and what is asked for there is told of none: these tests write elsewhere."""

from tests.support.on_disk import tmp_path as tmp_path
