"""Pipelines in YAML (GitHub, GitLab, Gitea, Bitbucket, CircleCI, Azure, compose, Kubernetes): actions, images.

What uses what is known by the keys: `uses`, `image`, `container`, `services`, `pipe`, and GitLab's `include`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bundlers.gates.pinning import forms, yaml_nodes

_KNOWN = frozenset(
    {"jobs", "on", "steps", "stages", "runs", "services", "pipelines", "pipeline", "image", "default",
     "include", "workflow", "kind", "spec", "apiVersion", "workflows", "tasks", "stage", "script", "container",
     "resources", "uses", "before_script", "variables", "pool", "trigger", "when"}
)  # fmt: skip


def pipeline(text: str) -> Iterator[str]:
    """Everything that another makes, in each document of the file."""
    found = yaml_nodes.documents(text)
    named = False
    for document in found:
        for told, pinned in _walk(document, set()):
            named = True
            if not pinned:
                yield told
        if isinstance(document, dict):
            inner = [value for value in document.values() if isinstance(value, dict)]
            named = named or bool(_KNOWN & document.keys()) or any("script" in value for value in inner)
    if not named:
        raise ValueError("it is no pipeline that is known here: nothing in it is used, run or included")


def _walk(value: Any, seen: set[int]) -> Iterator[tuple[str, bool]]:
    if id(value) in seen or not isinstance(value, dict | list):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _key(key, inner, value)
    for inner in value.values() if isinstance(value, dict) else value:
        yield from _walk(inner, seen)


def _key(key: str, inner: Any, around: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    if key == "uses" and isinstance(inner, str):
        yield _uses(inner)
    elif key in ("image", "container", "pipe") and isinstance(inner, str):
        if inner and not _own(key, inner, around):
            yield _image(inner)
    elif key == "image" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
        yield _image(inner["name"])
    elif key == "services":
        yield from _services(inner)
    elif key == "include":
        for row in inner if isinstance(inner, list) else [inner]:
            yield from _include(row)


def _uses(used: str) -> tuple[str, bool]:
    told = f"{used[:120]} is not named by a full revision"
    if used.startswith("./"):
        return told, True
    if used.startswith("docker://"):
        return told, forms.is_image(used)
    name, _, reference = used.rpartition("@")
    return told, bool(name) and forms.is_revision(reference)


def _image(image: str) -> tuple[str, bool]:
    plain = image.removeprefix("docker://")
    return f"the image {image[:120]} is not named by digest", forms.is_image(plain)


def _own(key: str, image: str, around: Mapping[str, Any]) -> bool:
    """What is built here (an action's own Dockerfile, compose's `build`), or a name beside its image (Azure)."""
    dockerfile = "using" in around and (image == "Dockerfile" or image.startswith("./"))
    return dockerfile or "build" in around or (key == "container" and "image" in around)


def _services(inner: Any) -> Iterator[tuple[str, bool]]:
    """A list of images (GitLab, Bitbucket: names of definitions), or a mapping whose rows are walked anyway."""
    for row in inner if isinstance(inner, list) else ():
        if isinstance(row, str):
            yield _image(row)
        elif isinstance(row, dict) and isinstance(row.get("name"), str) and "image" not in row:
            yield _image(row["name"])


def _include(row: Any) -> Iterator[tuple[str, bool]]:
    """GitLab: a URL needs an integrity, another project and a component a full revision."""
    if isinstance(row, str):
        yield f"include {row[:120]} is not named by digest", "://" not in row
    elif isinstance(row, dict):
        if "remote" in row:
            yield (
                f"include {str(row['remote'])[:120]} has no integrity",
                forms.is_integrity(str(row.get("integrity", ""))),
            )
        if "project" in row:
            yield (
                f"include of {str(row['project'])[:120]} names no full revision",
                forms.is_revision(str(row.get("ref", ""))),
            )
        if "component" in row:
            reference = str(row["component"]).rpartition("@")[2]
            yield f"include {str(row['component'])[:120]} names no full revision", forms.is_revision(reference)
