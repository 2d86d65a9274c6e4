"""`casstore import` over genuine files: each is named, and a bad one stops no other."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import bad_http
import pytest
import worlds
from worlds import NOW, World, identity

from attest.ceremony import ceremony
from attest.digests import sha256
from attest.judging.decisions import SigstoreRoots
from attest.statements import statements
from attest.statements.predicates import slsa_provenance
from attest.trust.trust_roots import Role, TrustIdentity
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.machine import clock
from casstore.objects.kinds import Kind
from casstore.store.store import Store
from cli.main import invoke
from tests.support import typed_line
from tests.support.typed_pages import block_lines

DATA = Path(__file__).parents[4] / "data"
FORMS, BUNDLES = DATA / "forms", DATA / "sigstore-bundles"
ROOTS = (BUNDLES / "trusted_root.jsonl").read_bytes()
GITHUB = BUNDLES / (
    "automata-slsa-sigstore-verifier__samples__actions-attest-build-provenance-attestation-13581567.sigstore.json"
)
INTOTO = BUNDLES / "sigstore-js__tests__bundles__bundleV02-intoto.sigstore"
ACTIONS = "oidc:https://token.actions.githubusercontent.com#https://github.com/"
NPM = "https://github.com/ramonpetgrave64/gundam-visor/.github/workflows/npm-publish.yml@refs/tags/v1.0.1"
PEOPLE = {
    "pypi": f"{ACTIONS}trailofbits/pypi-attestations/.github/workflows/release.yml@refs/tags/v0.0.19",
    "github": f"{ACTIONS}actions/attest-build-provenance/.github/workflows/prober.yml@refs/heads/main",
    "releases": "oidc:ca:fulcio.githubapp.com#https://dotcom.releases.github.com",
    "brian": "oidc:https://github.com/login/oauth#brian@dehamer.com",
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A line whose owners name GitHub's own releases, a PyPI publisher and others, and pin both instances."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CASSTORE_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=30))
    foreign = tuple(
        TrustIdentity(name, found, None, NOW - timedelta(days=3000)) for name, found in sorted(PEOPLE.items())
    )
    known = tuple(sorted((*map(identity, sorted({*worlds.ROLES, "log"})), *foreign), key=lambda entry: entry.name))
    roles = dict(worlds.trust_root("").roles)
    roles["builder"] = Role("builder", (*roles["builder"].identities, "github", "pypi"))
    world = World(Store.init(str(tmp_path / "store")))
    pinned = world.store.put_bytes(ROOTS)
    root = worlds.trust_root(world.store.store_id, identities=known, roles=roles, sigstore_root=pinned)
    payload = ceremony.draft(root)
    signed = [ceremony.sign(payload, worlds.signer(name)) for name in ("olga", "otto")]
    raw = ceremony.combine(payload, signed, at=root.created, sigstore=SigstoreRoots(pinned={pinned: ROOTS}))
    digest = world.store.put_bytes(raw, subjects=[root.digest], kind=Kind.ATTESTATION)
    commit(world.ledger, world.store, world.state, EntryKind.GENESIS, digest, now=world.now)
    yield world
    world.store.close()


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = invoke(["import", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)["imported"]


def test_a_folder_of_everything(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "evidence"
    shutil.copytree(FORMS, folder)
    shutil.copy(GITHUB, folder / "private.sigstore.json")
    (folder / "package.json").write_text("{}")
    (folder / "notes.txt").write_text("nothing")
    code, rows = run(capsys, folder)
    assert code == 3, "some are by nobody whom the owners name"
    found = {(Path(row["file"]).name, row["place"]): row for row in rows}
    assert "package.json" not in {name for name, _ in found}
    pypi = found["pypi.provenance.json", "attestation_bundles[0].attestations[0]"]
    assert (pypi["outcome"], pypi["names"], pypi["form"]) == ("recorded", ["pypi"], "PEP 740 attestation")
    assert pypi["about"] == ["pypi_attestations-0.0.19.tar.gz"]
    assert not pypi["counts"] and "nothing that this ledger has released" in pypi["why"]
    assert found["private.sigstore.json", ""]["outcome"] == "recorded"
    assert found["github.release.sigstore.json", ""]["names"] == ["releases"], found[
        "github.release.sigstore.json", ""
    ]["why"]
    assert "none of its subjects has a sha256" in found["gh.download.jsonl", "line 1"]["why"]
    assert found["cosign.blob.sigstore.json", ""]["outcome"] == "passed over"
    assert "signed it, whom trust root version 1 does not name" in found["model.sig", ""]["why"]
    assert "no proven signing time" in found["slsa-go.intoto.jsonl", ""]["why"]
    assert found["in-toto.link", ""]["outcome"] == "refused"
    entries = {row["entry"] for row in rows if row["outcome"] == "recorded"}
    assert len(entries) == 3 and not world.state.void
    code, again = run(capsys, folder)
    assert {row["outcome"] for row in again} == {"known", "passed over", "refused"}


def test_what_counts_and_what_does_not(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = world.release("1.0.0")
    archive = made.archives["core-1.0.0.tar.gz"]
    for name in ("ci", "ann"):
        (tmp_path / f"{name}.json").write_bytes(worlds.provenance({"other name": archive}, name, note="again"))
    code, (ci, ann) = run(capsys, tmp_path / "ci.json", tmp_path / "ann.json")
    assert (code, ci["counts"], ci["roles"]) == (0, True, ["builder"])
    assert (ann["outcome"], ann["counts"]) == ("recorded", False)
    assert ann["why"] == "slsa-provenance is asked of builder; the signer holds approver"
    assert ci["what"] == "slsa-provenance" == ann["what"]
    assert slsa_provenance.TYPE


def test_each_signer_of_one_statement_is_recorded(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever signs the builder's statement first, with a role that counts for nothing, keeps no evidence out."""
    archive = world.release("1.0.0").archives["core-1.0.0.tar.gz"]
    claim = slsa_provenance.Provenance("https://example.org/build/v1", {}, "https://example.org/ci")
    payload = statements.of_digests({"a name": archive}, slsa_provenance.TYPE, claim.to_json()).to_bytes()
    before = set(world.state.evidence.get(archive, ()))
    for number, name in enumerate(("ann", "ci", "ci")):
        (tmp_path / f"{name}{number}.json").write_bytes(worlds.signer(name).sign_statement(payload))
    code, rows = run(capsys, *(tmp_path / name for name in ("ann0.json", "ci1.json", "ci2.json")))
    assert code == 0
    assert [(row["outcome"], row["counts"]) for row in rows] == [
        ("recorded", False),
        ("recorded", True),
        ("known", True),
    ]
    assert rows[2]["digest"] == rows[1]["digest"]
    assert {row["digest"] for row in rows} == set(world.state.evidence[archive]) - before


def test_a_forged_one_beside_a_good_one(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = GITHUB.read_bytes()
    document = json.loads(good)
    payload = base64.b64decode(document["dsseEnvelope"]["payload"]).replace(b"sha256", b"sha512", 0)
    forged = payload.replace(b'"subject":[{', b'"subject":[{"name":"evil","digest":{"sha256":"' + b"0" * 64 + b'"}},{')
    document["dsseEnvelope"]["payload"] = base64.b64encode(forged).decode()
    lines = tmp_path / "two.jsonl"
    lines.write_bytes(json.dumps(document).encode() + b"\n" + json.dumps(json.loads(good)).encode() + b"\n")
    code, (lie, honest) = run(capsys, lines)
    assert (code, lie["outcome"], honest["outcome"]) == (3, "refused", "recorded")
    assert lie["place"] == "line 1" and lie["entry"] is None
    assert sha256(b"evil") not in world.state.evidence


@pytest.mark.parametrize("broken", ["", "{", "[]", "\x00", '{"a": 1}'])
def test_a_file_that_is_none(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str) -> None:
    (tmp_path / "x").write_text(broken)
    code, rows = run(capsys, tmp_path / "x", GITHUB, tmp_path / "missing")
    assert code == 3
    assert [row["outcome"] for row in rows] == ["refused", "recorded", "not to be had"]
    assert all(row["file"] and (row["why"] or row["entry"]) for row in rows)


def test_what_broke_off_in_a_folder_is_told(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut attestation is no file of another kind; a pipe in the folder is waited for by nobody."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "cut.sigstore.json").write_bytes(GITHUB.read_bytes()[:3000])
    one_line = json.dumps(json.loads(GITHUB.read_bytes())).encode()
    (folder / "lines.jsonl").write_bytes(one_line + b"\n" + one_line[:3000])
    (folder / "broken.package.json").write_text('{"name": ')
    os.mkfifo(folder / "pipe")
    code, rows = run(capsys, folder)
    assert code == 3
    assert [(Path(row["file"]).name, row["place"], row["outcome"], row["form"]) for row in rows] == [
        ("cut.sigstore.json", "", "refused", "broken attestation"),
        ("lines.jsonl", "line 1", "recorded", "sigstore bundle"),
        ("lines.jsonl", "line 2", "refused", "broken attestation"),
    ]


def test_nothing_that_can_be_evidence(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, (row,) = run(capsys, FORMS / "cosign.blob.sigstore.json")
    assert (code, row["outcome"]) == (4, "passed over")


def test_by_url(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served({"/integrity/x-1.0@2/sha256:ab/provenance": (FORMS / "pypi.provenance.json").read_bytes()}) as url:
        code, (row,) = run(capsys, f"{url}/integrity/x-1.0@2/sha256:ab/provenance")
        assert (code, row["outcome"]) == (0, "recorded")
        code, (missing,) = run(capsys, f"{url}/nothing")
        assert (code, missing["outcome"]) == (8, "not to be had") and "404" in missing["why"]
        assert invoke(["--offline", "import", f"{url}/integrity/x-1.0@2/sha256:ab/provenance"]) == 12


@pytest.mark.parametrize("how", ["short", "bad gateway"])
def test_an_answer_that_did_not_come_whole_is_no_refusal(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("bundlers.consuming.downloads.WAITS", (0.0,))
    (tmp_path / "x.json").write_bytes(GITHUB.read_bytes())
    with bad_http.serving(tmp_path, lambda _, body: bad_http.HOWS[how](body)) as url:
        code, (row,) = run(capsys, f"{url}/x.json")
    assert (code, row["outcome"]) == (12, "not to be had"), row


def a_line(tmp_path: Path) -> tuple[Path, bytes]:
    """A genuine bundle as an SLSA generator's line, and the log's answer about it."""
    document = json.loads(INTOTO.read_bytes())
    material, envelope = document["verificationMaterial"], document["dsseEnvelope"]
    der = base64.b64decode(material["x509CertificateChain"]["certificates"][0]["rawBytes"])
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    line = {**envelope, "signatures": [{"keyid": "", "sig": envelope["signatures"][0]["sig"], "cert": pem}]}
    (tmp_path / "line.intoto.jsonl").write_text(json.dumps(line))
    entry = material["tlogEntries"][0]
    proof = entry["inclusionProof"]
    found = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
        "logIndex": int(entry["logIndex"]),
        "verification": {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "logIndex": int(proof["logIndex"]),
                "treeSize": int(proof["treeSize"]),
                "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                "hashes": [base64.b64decode(item).hex() for item in proof["hashes"]],
                "checkpoint": proof["checkpoint"]["envelope"],
            },
        },
    }
    return tmp_path / "line.intoto.jsonl", json.dumps([{hashlib.sha256(b"uuid").hexdigest(): found}]).encode()


def test_the_log_is_asked_for_what_a_line_lacks(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, answer = a_line(tmp_path)
    code, (row,) = run(capsys, line)
    assert code == 4 and "none of its subjects has a sha256" in row["why"], "npm's own publication"
    (tmp_path / "entry.json").write_bytes(answer)
    (tmp_path / "go").mkdir()
    shutil.copy(FORMS / "slsa-go.intoto.jsonl", tmp_path / "go")
    code, (stolen,) = run(capsys, tmp_path / "go", "--log-entry", tmp_path / "entry.json")
    assert code == 3 and "none of the 1 log entries is about this signature" in stolen["why"]
    with served({"/api/v1/log/entries/retrieve": answer}) as url:
        code, (asked,) = run(capsys, tmp_path / "go", "--rekor", url)
        assert code == 3 and "none of the 1 log entries is about this signature" in asked["why"]
    with served({}) as url:
        code, (nowhere,) = run(capsys, tmp_path / "go", "--rekor", url)
        assert code == 12 and "404" in nowhere["why"]


class served:  # noqa: N801 - read as a with statement
    """A web server with some answers."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = answers.get(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            do_POST = do_GET  # noqa: N815 - the base class names it

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{self._http.server_port}"

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


# every line of the pages about evidence of others, typed with genuine files in the place of the examples

PAGES = Path(__file__).parents[5] / "docs" / "evidence"
STAND_FOR = {
    "core.sigstore.json": str(FORMS / "cosign.blob.sigstore.json"),
    "core.tar.gz": str(FORMS / "cosign.blob.txt"),
    "core.jsonl": "github.jsonl",
    "vsa.intoto.jsonl": str(FORMS / "vsa.intoto.jsonl"),
    "npm.attestations.json": str(FORMS / "npm.attestations.json"),
    "core-1.4.0.tar.gz.publish.attestation": str(FORMS / "pypi.publish.attestation"),
    "core-1.4.0.tar.gz": "sha256:c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201",
    "core.intoto.jsonl": "line.intoto.jsonl",
    "https://rekor.sigstore.dev": "{url}",
    "https://INDEX/integrity/core/1.4.0/core-1.4.0.tar.gz/provenance": "{url}/pypi",
    "https://api.github.com/repos/team/core/attestations/sha256:...": "{url}/github",
    "https://github.com/team/core/.github/workflows/publish.yml@refs/tags/v1.0.1": NPM,
    "https://accounts.example": "https://github.com/login/oauth",
}
ANN = {"cosign": "w.vollprecht@gmail.com", "pypi": "william@yossarian.net"}
ENDS = {("npm", 1): 3, ("cosign", 1): 3, ("slsa-generators", 2): 4, ("slsa-generators", 3): 4}
"""Page and line -> exit code, where it is not 0: npm's own publication is signed by its key, signatures
by a key that are made here are in no log, and the generator's line that is here speaks of nothing that has a sha256."""
TYPED = sorted(page.stem for page in PAGES.glob("*.md") if block_lines(page.read_text(encoding="utf-8")))


def laid_out(folder: Path) -> dict[str, bytes]:
    """The files that the pages speak of; what a server has."""
    _, answer = a_line(folder)
    (folder / "entry.json").write_bytes(answer)
    (folder / "github.jsonl").write_bytes(GITHUB.read_bytes().replace(b"\n", b""))
    (folder / "release.pub").write_bytes(worlds.signer("ci").public_pem or b"")
    for name in ("a.tar.gz", "b.tar.gz", "build.link.sigstore.json", "scai.sigstore.json"):
        made = statements.of_digests({name: sha256(name.encode())}, f"https://example.com/{name[0]}", {"n": name})
        (folder / name).write_bytes(name.encode())
        signed = worlds.signer("ci").sign_statement(made.to_bytes())
        (folder / (f"{name[0]}.json" if name.endswith("gz") else name)).write_bytes(signed)
    github = json.dumps({"attestations": [{"bundle": json.loads(GITHUB.read_bytes())}]}).encode()
    pypi = (FORMS / "pypi.provenance.json").read_bytes()
    return {"/api/v1/log/entries/retrieve": answer, "/github": github, "/pypi": pypi}


@pytest.mark.parametrize("page", [page for page in TYPED if page != "scanners"])
def test_every_line_of_a_page(page: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sigstore", reason="sigstore's own roots come with the extra keyless")
    lines = block_lines((PAGES / f"{page}.md").read_text(encoding="utf-8"))
    npm = json.loads(base64.b64decode(_npm_envelope()["payload"]))["subject"][0]["digest"]["sha512"]
    stand_for = {**STAND_FOR, "core-1.0.1.tgz": f"sha512:{npm}", "ann@example.com": ANN.get(page, "")}
    with served(laid_out(tmp_path)) as url:
        for number, line in enumerate(lines):
            words = [stand_for.get(word, word).replace("{url}", url) for word in shlex.split(line, comments=True)[1:]]
            words += ["--staging"] if page == "pypi" and "verify-bundle" in words else []  # that file is of there
            code = invoke(words)
            told = capsys.readouterr()
            assert code == ENDS.get((page, number), 0), (line, told.out, told.err)


def _npm_envelope() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FORMS / "npm.attestations.json").read_bytes())["attestations"][1]["bundle"]
    return dict(found["dsseEnvelope"])


def test_every_line_of_the_page_about_scanners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed_line.begun(tmp_path, monkeypatch)
    (tmp_path / "a" / "tool").write_bytes(b"tool")
    typed_line.released("1.4.0")
    typed_line.typed("release 1.4.0 --out dist")
    shutil.copy("dist/one-1.4.0.tar.gz", "core-1.4.0.tar.gz")
    (tmp_path / "sbom.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}')
    shutil.copy(DATA / "openvex" / "v0.2.0.json", tmp_path / "vex.json")
    shutil.copy(DATA / "scanners" / "grype.json", tmp_path)
    (tmp_path / "junit.xml").write_text('<testsuite name="all" tests="1"><testcase name="one"/></testsuite>')
    for name in ("ci.pem", "auditor.pem"):
        shutil.copy("key.pem", name)
    for line in block_lines((PAGES / "scanners.md").read_text(encoding="utf-8")):
        assert invoke(shlex.split(line, comments=True)[1:]) == 0, line
