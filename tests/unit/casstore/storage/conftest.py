"""These tests are about real file systems."""

from tests.support.on_disk import tmp_path as tmp_path
