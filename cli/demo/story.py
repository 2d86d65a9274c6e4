"""What the demo tells: from build outputs to a verified install and back, then what is refused."""

from __future__ import annotations

import os
import shutil
import sys
import time

from cli.demo import materials
from cli.demo.stage import Stage
from cli.drawing import render

CONFIG = """\
[store]
url = "./store"

[components.core-lib]
root = "build/core-lib"
include = ["**"]
[components.core-web]
root = "build/core-web"
include = ["**"]
[components.agent-linux-bin]
root = "build/agent-linux-bin"
include = ["**"]
[components.agent-windows-bin]
root = "build/agent-windows-bin"
include = ["**"]
[components.probe-engine]
root = "build/probe-engine"
include = ["**"]
[components.probe-parsers]
root = "build/probe-parsers"
include = ["**"]
[components.licences]
root = "build/licences"
include = ["**"]
shared = "every product ships the licence texts"

[products.core]
components = ["core-lib", "core-web", "licences"]
format = "tar.gz"
[products.agent]
components = ["licences"]
[products.agent.builds.{here}]
components = ["agent-linux-bin"]
format = "tar.gz"
[products.agent.builds.windows]
components = ["agent-windows-bin"]
format = "zip"
[products.dpi-probe]
components = ["probe-engine", "licences"]
format = "tar.gz"
[products.parsers]
components = ["probe-parsers", "licences"]
format = "tar.zst"

[gates]
seal = {}
secrets = {}
budget = { archive = "50MB", files = 2000 }

[channels.dev]
approvals = 0
[channels.staging]
from = "dev"
approvals = 1
[channels.prod]
from = "staging"
approvals = 2
require = ["slsa-provenance", "isolation", "gate:rollback-capability"]

[destinations.public]
url = "./public"
"""

PEOPLE = {
    "olga": "owner",
    "ci": "builder",
    "petra": "promoter",
    "alice": "approver",
    "bob": "approver",
    "pia": "publisher",
    "log": "ledger",
}


def play(folder: str) -> None:
    """The whole demo in a new folder. Raises DemoFailed when anything is not as told."""
    began = time.monotonic()
    stage = Stage(folder)
    with stage.entered():
        _set_up(stage)
        _first_release(stage)
        _to_prod(stage, "1.0.0")
        _to_consumer(stage, "1.0.0")
        _second_release(stage)
        _rollback(stage)
        _refusals(stage)
    _end(stage, time.monotonic() - began)


def _set_up(stage: Stage) -> None:
    stage.title("Build outputs: real files of installed packages")
    size = materials.gather(os.path.join(stage.folder, "build"))
    stage.write("casstore.toml", CONFIG.replace("{here}", "macos" if sys.platform == "darwin" else "linux"))
    stage.tell(f"{render.size(size)} in ./build, four products described in ./casstore.toml, one in two builds")
    stage.title("A store, keys for seven roles, and the trust root that the owner signs")
    stage.run("init")
    for name in PEOPLE:
        algorithm = "ed25519" if name == "log" else "ecdsa-p256"
        stage.run("keys", "generate", f"{name}.pem", "--no-passphrase", "--algorithm", algorithm)
    identities = [word for name in PEOPLE for word in ("--identity", f"{name}={name}.pem.pub")]
    roles = [word for role in dict.fromkeys(PEOPLE.values()) for word in ("--role", f"{role}={_holders(role)}")]
    stage.run("keys", "ceremony", "draft", *identities, *roles, "--out", "root.draft")
    stage.run("keys", "ceremony", "sign", "root.draft", "--key", "olga.pem", "--out", "olga.sig")
    stage.run("keys", "ceremony", "finish", "root.draft", "olga.sig")


def _holders(role: str) -> str:
    return ",".join(name for name, held in PEOPLE.items() if held == role)


def _first_release(stage: Stage) -> None:
    stage.title("CI puts the components and releases: gates, isolation, five archives, attestations, ledger")
    stage.run("put", "--all", "--release-version", "1.0.0", "--key", "ci.pem")
    stage.run("release", "1.0.0", "--key", "ci.pem", "--out", "dist/1.0.0")
    stage.tell(f"./dist/1.0.0: {', '.join(sorted(os.listdir('dist/1.0.0')))}")


def _to_prod(stage: Stage, version: str) -> None:
    stage.title(f"{version}: dev, one approval, staging, two approvals, prod")
    stage.run("promote", version, "--to", "dev", "--key", "petra.pem")
    stage.run("approve", version, "--channel", "staging", "--key", "alice.pem")
    stage.run("promote", version, "--to", "staging", "--key", "petra.pem")
    stage.run("approve", version, "--channel", "prod", "--key", "alice.pem")
    stage.run("explain", version, "--to", "prod", expect=4)
    stage.run("approve", version, "--channel", "prod", "--key", "bob.pem")
    stage.run("rehearse", "prod", "--key", "petra.pem")
    stage.run("promote", version, "--to", "prod", "--key", "petra.pem")
    stage.run("channel")


def _to_consumer(stage: Stage, version: str) -> None:
    stage.title("Publish prod as a static TUF repository; a consumer verifies and installs")
    _publish(stage)
    stage.run("--offline", "verify", "./public", "--channel", "prod", "--state", "consumer")
    for product in ("core", "agent"):
        _install(stage, product)
    _install(stage, "agent", "--platform", "windows", into="agent-for-windows")
    stage.tell(f"installed {version}: {', '.join(sorted(os.listdir('installed/core/current'))[:6])}, ...")


def _publish(stage: Stage) -> None:
    stage.run("publish", "prod", "--to", "public", "--key", "pia.pem", "--ledger-key", "log.pem")


def _install(stage: Stage, product: str, *options: str, into: str = "") -> None:
    words = ("install", product, "--from", "./public", "--channel", "prod", "--into", f"installed/{into or product}")
    stage.run(*words, "--state", "consumer", *options)


def _second_release(stage: Stage) -> None:
    stage.title("The next release: one text and one parser differ; the agent, unchanged, keeps its archives")
    stage.write("build/core-web/NEWS.txt", "1.1.0: the interface has news.\n")
    with open("build/probe-parsers/dpkt/dns.py", "a", encoding="utf-8") as file:
        file.write("\n# 1.1.0\n")
    stage.run("put", "--all", "--release-version", "1.1.0", "--key", "ci.pem")
    stage.run("release", "1.1.0", "--key", "ci.pem", "--out", "dist/1.1.0")
    stage.run("diff", "1.0.0/core", "1.1.0/core")
    _to_prod(stage, "1.1.0")
    _publish(stage)
    _install(stage, "core")


def _rollback(stage: Stage) -> None:
    stage.title("1.1.0 turns out bad: roll prod back; the consumer follows")
    words = ("rollback", "prod", "--reason", "1.1.0 shows an empty page", "--key", "petra.pem")
    stage.run(*words)
    stage.run(*words, "--confirm")
    _publish(stage)
    _install(stage, "core")
    stage.run("channel", "prod")
    stage.run("audit", "prod", "--report", "prod.html")
    stage.run("export", "prod", "kit.tar", "--channel", "prod", "--key", "log.pem")
    stage.run("--offline", "verify", "kit.tar", "--state", "auditor")


def _refusals(stage: Stage) -> None:
    stage.title("What is refused, each with one line and its exit code")
    verify = ("--offline", "verify", "./public", "--channel", "prod", "--state", "consumer", "--archive")
    stage.tell("a tampered archive:")
    with open("dist/1.0.0/core-1.0.0.tar.gz", "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    with open("core-1.0.0.tar.gz", "wb") as file:
        file.write(data)
    stage.run(*verify, "core-1.0.0.tar.gz", expect=3)
    stage.tell("an archive that nobody signed:")
    shutil.make_archive("core-2.0.0", "gztar", "build/core-web")
    stage.run(*verify, "core-2.0.0.tar.gz", expect=3)
    _refused_releases(stage)
    _refused_promotions(stage)
    stage.tell("another content under a version that is taken:")
    stage.run("put", "--all", "--release-version", "1.0.0", "--key", "ci.pem", expect=9)


def _refused_releases(stage: Stage) -> None:
    stage.tell("a private key among the files (gate secrets); the output folder stays empty:")
    shutil.copyfile("ci.pem", "build/agent-linux-bin/psutil/ci.pem")
    stage.run("put", "--all", "--release-version", "1.2.0", "--key", "ci.pem")
    stage.run("release", "1.2.0", "--key", "ci.pem", "--out", "dist/1.2.0", expect=10)
    stage.tell(f"dist/1.2.0 exists: {'yes' if os.path.exists('dist/1.2.0') else 'no'}")
    os.unlink("build/agent-linux-bin/psutil/ci.pem")
    stage.tell("an agent's binary slipped into core under another name:")
    library = next(name for name in sorted(os.listdir("build/agent-linux-bin/psutil")) if name.endswith(".so"))
    shutil.copyfile(f"build/agent-linux-bin/psutil/{library}", "build/core-web/theme.dat")
    stage.run("put", "--all", "--release-version", "1.2.1", "--key", "ci.pem")
    stage.run("release", "1.2.1", "--key", "ci.pem", "--out", "dist/1.2.1", expect=11)
    os.unlink("build/core-web/theme.dat")


def _refused_promotions(stage: Stage) -> None:
    stage.run("unpin", "prod", "--reason", "1.3.0 mends it", "--key", "petra.pem")
    stage.run("put", "--all", "--release-version", "1.3.0", "--key", "ci.pem")
    stage.run("release", "1.3.0", "--key", "ci.pem", "--out", "dist/1.3.0")
    stage.run("promote", "1.3.0", "--to", "dev", "--key", "petra.pem")
    stage.run("approve", "1.3.0", "--channel", "staging", "--key", "alice.pem")
    stage.run("promote", "1.3.0", "--to", "staging", "--key", "petra.pem")
    stage.run("approve", "1.3.0", "--channel", "prod", "--key", "bob.pem")
    stage.run("rehearse", "prod", "--key", "petra.pem")
    stage.tell("one approval too few; and alice's approval for staging counts for nothing in prod:")
    stage.run("promote", "1.3.0", "--to", "prod", "--key", "petra.pem", expect=4)


def _end(stage: Stage, seconds: float) -> None:
    stage.title(f"All as told: {stage.commands} commands in {render.seconds(seconds)}")
    for what, path in (
        ("the store", "store"),
        ("the published repository", "public"),
        ("the installed product", "installed/core/current"),
        ("the auditor's page", "prod.html"),
        ("the kit to carry away", "kit.tar"),
    ):
        stage.tell(f"{what}: {os.path.join(stage.folder, path)}")
    render.line("")
    render.line(f"Try next, in {stage.folder}:")
    for command in (
        "casstore channel log prod",
        "casstore ledger verify",
        "casstore explain 1.3.0 --to prod",
        "casstore --offline verify kit.tar",
        "(cd public/releases/1.0.0 && sha256sum -c SHA256SUMS)",
    ):
        render.line(f"  {command}")
