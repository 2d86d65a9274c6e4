// Judges one sigstore bundle by sigstore-js: a case as JSON on standard input, "verified" or the reason on standard output.
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');
const crypto = require('crypto');

const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const finder = () => ({ publicKey: crypto.createPublicKey(given.publicKey), validFor: () => true });
const anchored = (text) => '^' + text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&') + '$'; // it takes a regular expression
try {
  const material = toTrustMaterial(TrustedRoot.fromJSON(given.trustedRoot), given.publicKey ? finder : undefined);
  const artifact = given.artifact ? Buffer.from(given.artifact, 'base64') : undefined;
  const entity = toSignedEntity(bundleFromJSON(given.bundle), artifact);
  const policy = given.identity && { subjectAlternativeName: anchored(given.identity), extensions: { issuer: given.issuer } };
  const keyOnly = Boolean(given.publicKey);
  new Verifier(material, {
    ctlogThreshold: keyOnly ? 0 : 1,
    tlogThreshold: given.logged ? 1 : 0,
    timestampThreshold: given.timed ? 1 : 0,
  }).verify(entity, policy);
  console.log('verified');
} catch (error) {
  console.log(`refused: ${error.code || error.name}: ${error.message}`);
}
