"""The forms of tokens: prefix, alphabet, length, as their issuers document them.

Facts after the issuers' own pages and the rules of gitleaks (MIT, Copyright (c) 2019 Zachary Rice,
https://github.com/gitleaks/gitleaks/blob/b58d3f102cf3/config/gitleaks.toml); those that have no mark of
their own (thirty-two letters beside a company's name) are left out, for they fit every second digest.
"""

from __future__ import annotations

from bundlers.inspection.secret_forms import guesses
from bundlers.inspection.secret_forms.rules import Rule, always, rule

_ALNUM, _WORD, _HEX = rb"[A-Za-z0-9]", rb"[A-Za-z0-9_-]", rb"[0-9a-f]"
_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _form(name: str, literal: bytes, alphabet: bytes, count: str) -> Rule:
    return rule(name, literal, alphabet + b"{" + count.encode() + b"}")


_PLAIN: tuple[tuple[str, bytes, bytes, str], ...] = (
    ("adobe-client-secret", b"p8e-", _ALNUM, "32"),
    ("age-secret-key", b"AGE-SECRET-KEY-1", rb"[02-9AC-HJ-NP-Z]", "58"),
    ("age-secret-key", b"AGE-SECRET-KEY-PQ-1", rb"[02-9AC-HJ-NP-Z]", "40,120"),
    ("alibaba-access-key", b"LTAI", _ALNUM, "20"),
    ("artifactory-token", b"AKCp", _ALNUM, "69"),
    ("artifactory-token", b"cmVmd", _ALNUM, "59"),
    ("atlassian-token", b"ATATT3", rb"[A-Za-z0-9_=-]", "186"),
    ("atlassian-token", b"ATCTT3", rb"[A-Za-z0-9_=-]", "180,200"),
    ("bitbucket-token", b"ATBB", _ALNUM, "32"),
    ("aws-bedrock-key", b"ABSK", rb"[A-Za-z0-9+/=]", "109,269"),
    ("buildkite-token", b"bkua_", _HEX, "40"),
    ("circleci-token", b"CCIPAT_", _WORD, "40,80"),
    ("clickhouse-key", b"4b1d", _ALNUM, "38"),
    ("clojars-token", b"CLOJARS_", _ALNUM, "60"),
    ("contentful-token", b"CFPAT-", _WORD, "43"),
    ("crates-io-token", b"cio", _ALNUM, "32"),
    ("databricks-token", b"dapi", _HEX, "32"),
    ("digitalocean-token", b"dop_v1_", _HEX, "64"),
    ("digitalocean-token", b"doo_v1_", _HEX, "64"),
    ("digitalocean-token", b"dor_v1_", _HEX, "64"),
    ("docker-token", b"dckr_pat_", _WORD, "27"),
    ("docker-token", b"dckr_oat_", _WORD, "27,32"),
    ("duffel-token", b"duffel_live_", rb"[A-Za-z0-9_=-]", "43"),
    ("duffel-token", b"duffel_test_", rb"[A-Za-z0-9_=-]", "43"),
    ("easypost-key", b"EZAK", _ALNUM, "54"),
    ("easypost-key", b"EZTK", _ALNUM, "54"),
    ("facebook-token", b"EAAM", _ALNUM, "100,300"),
    ("facebook-token", b"EAAC", _ALNUM, "100,300"),
    ("figma-token", b"figd_", _WORD, "40,60"),
    ("flyio-token", b"fo1_", _WORD, "43"),
    ("flyio-token", b"fm2_", rb"[A-Za-z0-9+/=]", "100,2000"),
    ("frameio-token", b"fio-u-", rb"[A-Za-z0-9_=-]", "64"),
    ("github-token", b"ghp_", _ALNUM, "36,251"),
    ("github-token", b"gho_", _ALNUM, "36,251"),
    ("github-token", b"ghu_", _ALNUM, "36,251"),
    ("github-token", b"ghs_", rb"[A-Za-z0-9_.-]", "36,800"),
    ("github-token", b"ghr_", _ALNUM, "36,251"),
    ("github-token", b"github_pat_", rb"[A-Za-z0-9_]", "82"),
    ("gitlab-token", b"glpat-", rb"[A-Za-z0-9_.-]", "20,320"),
    ("gitlab-token", b"gldt-", _WORD, "20,64"),
    ("gitlab-token", b"glrt-", rb"[A-Za-z0-9_.-]", "20,320"),
    ("gitlab-token", b"glrtr-", rb"[A-Za-z0-9_.-]", "20,320"),
    ("gitlab-token", b"glcbt-", _WORD, "22,320"),
    ("gitlab-token", b"glptt-", _HEX, "40"),
    ("gitlab-token", b"glft-", _WORD, "20,64"),
    ("gitlab-token", b"glimt-", _WORD, "25,64"),
    ("gitlab-token", b"glagent-", _WORD, "50,64"),
    ("gitlab-token", b"gloas-", _WORD, "64"),
    ("gitlab-token", b"glsoat-", _WORD, "20,64"),
    ("gitlab-token", b"glffct-", _WORD, "20,64"),
    ("gitlab-token", b"glwt-", _WORD, "20,64"),
    ("gitlab-token", b"GR1348941", _WORD, "20"),
    ("gitlab-session", b"_gitlab_session=", rb"[0-9a-z]", "32"),
    ("google-api-key", b"AIza", _WORD, "35"),
    ("google-oauth-secret", b"GOCSPX-", _WORD, "28"),
    ("google-access-token", b"ya29.", _WORD, "60,400"),
    ("google-refresh-token", b"1//0", _WORD, "60,200"),
    ("grafana-token", b"glc_", rb"[A-Za-z0-9+/=]", "32,400"),
    ("grafana-token", b"eyJrIjoi", rb"[A-Za-z0-9=]", "70,400"),
    ("groq-key", b"gsk_", _ALNUM, "52"),
    ("heroku-key", b"HRKU-AA", _WORD, "58"),
    ("huggingface-token", b"hf_", rb"[A-Za-z]", "34"),
    ("huggingface-token", b"api_org_", rb"[A-Za-z]", "34"),
    ("infracost-key", b"ico-", _ALNUM, "32"),
    ("intra42-secret", b"s-s4t2ud-", _HEX, "64"),
    ("intra42-secret", b"s-s4t2af-", _HEX, "64"),
    ("linear-key", b"lin_api_", _ALNUM, "40"),
    ("linear-key", b"lin_oauth_", _ALNUM, "40,64"),
    ("mailgun-key", b"key-", _HEX, "32"),
    ("minisign-secret-key", b"RWRTY0Iy", rb"[A-Za-z0-9+/=]", "180,240"),
    ("netlify-token", b"nfp_", _ALNUM, "36,40"),
    ("newrelic-key", b"NRAK-", rb"[A-Z0-9]", "27"),
    ("newrelic-key", b"NRII-", rb"[A-Za-z0-9-]", "32"),
    ("newrelic-key", b"NRJS-", _HEX, "19"),
    ("notion-token", b"ntn_", _ALNUM, "46"),
    ("notion-token", b"secret_", _ALNUM, "43"),
    ("npm-token", b"npm_", _ALNUM, "36"),
    ("nuget-key", b"oy2", rb"[a-z0-9]", "43"),
    ("nvidia-key", b"nvapi-", _WORD, "60,70"),
    ("octopus-key", b"API-", rb"[A-Z0-9]", "26"),
    ("openai-key", b"sk-admin-", _WORD, "40,200"),
    ("openrouter-key", b"sk-or-v1-", _HEX, "64"),
    ("openshift-token", b"sha256~", _WORD, "43"),
    ("perplexity-key", b"pplx-", _ALNUM, "48"),
    ("planetscale-token", b"pscale_tkn_", rb"[A-Za-z0-9_=.-]", "32,64"),
    ("planetscale-token", b"pscale_oauth_", rb"[A-Za-z0-9_=.-]", "32,64"),
    ("planetscale-token", b"pscale_pw_", rb"[A-Za-z0-9_=.-]", "32,64"),
    ("prefect-key", b"pnu_", _ALNUM, "36"),
    ("pulumi-token", b"pul-", _HEX, "40"),
    ("pypi-token", b"pypi-AgEIcHlwaS5vcmc", _WORD, "50,1000"),
    ("pypi-token", b"pypi-AgENdGVzdC5weXBpLm9yZw", _WORD, "50,1000"),
    ("readme-key", b"rdme_", rb"[a-z0-9]", "70"),
    ("replicate-token", b"r8_", _ALNUM, "37"),
    ("rubygems-token", b"rubygems_", _HEX, "48"),
    ("scalingo-token", b"tk-us-", _WORD, "48"),
    ("sendinblue-key", b"xkeysib-", rb"[0-9a-zA-Z-]", "81"),
    ("sendinblue-key", b"xsmtpsib-", rb"[0-9a-zA-Z-]", "81"),
    ("sentry-token", b"sntryu_", _HEX, "64"),
    ("sentry-token", b"sntrys_eyJ", rb"[A-Za-z0-9+/=_]", "80,500"),
    ("settlemint-token", b"sm_aat_", _ALNUM, "16"),
    ("settlemint-token", b"sm_pat_", _ALNUM, "16"),
    ("settlemint-token", b"sm_sat_", _ALNUM, "16"),
    ("shippo-key", b"shippo_live_", rb"[A-Fa-f0-9]", "40"),
    ("shippo-key", b"shippo_test_", rb"[A-Fa-f0-9]", "40"),
    ("shopify-token", b"shpat_", rb"[A-Fa-f0-9]", "32"),
    ("shopify-token", b"shpca_", rb"[A-Fa-f0-9]", "32"),
    ("shopify-token", b"shppa_", rb"[A-Fa-f0-9]", "32"),
    ("shopify-token", b"shpss_", rb"[A-Fa-f0-9]", "32"),
    ("sonar-token", b"squ_", _HEX, "40"),
    ("sonar-token", b"sqp_", _HEX, "40"),
    ("sonar-token", b"sqa_", _HEX, "40"),
    ("sourcegraph-token", b"sgp_", rb"[A-Fa-f0-9_local]", "40,62"),
    ("square-token", b"sq0atp-", _WORD, "22,60"),
    ("square-token", b"sq0csp-", _WORD, "43"),
    ("square-token", b"EAAA", _WORD, "60"),
    ("stripe-key", b"sk_live_", _ALNUM, "16,247"),
    ("stripe-key", b"rk_live_", _ALNUM, "16,247"),
    ("stripe-key", b"sk_prod_", _ALNUM, "16,247"),
    ("stripe-key", b"rk_prod_", _ALNUM, "16,247"),
    ("stripe-key", b"sk_test_", _ALNUM, "24,247"),
    ("stripe-key", b"rk_test_", _ALNUM, "24,247"),
    ("stripe-webhook-secret", b"whsec_", rb"[A-Za-z0-9+/]", "32,64"),
    ("supabase-key", b"sbp_", _HEX, "40"),
    ("supabase-key", b"sb_secret_", _WORD, "24,64"),
    ("tailscale-key", b"tskey-auth-", _WORD, "24,80"),
    ("tailscale-key", b"tskey-api-", _WORD, "24,80"),
    ("tailscale-key", b"tskey-client-", _WORD, "24,80"),
    ("tencent-key", b"AKID", _ALNUM, "32"),
    ("typeform-token", b"tfp_", rb"[A-Za-z0-9_.=-]", "59"),
    ("hashicorp-vault-token", b"hvs.", _WORD, "24,128"),
    ("hashicorp-vault-token", b"hvb.", _WORD, "100,300"),
    ("hashicorp-vault-token", b"hvr.", _WORD, "24,300"),
    ("xai-key", b"xai-", _ALNUM, "80"),
    ("yandex-key", b"AQVN", _WORD, "35,38"),
)
_SHAPED: tuple[Rule, ...] = (
    rule("1password-key", b"A3-", rb"[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
    rule("1password-token", b"ops_eyJ", rb"[A-Za-z0-9+/_-]{200,2000}={0,3}"),
    rule("airtable-token", b"pat", rb"[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    rule("anthropic-key", b"sk-ant-", rb"[a-z]{2,8}[0-9]{2}-[A-Za-z0-9_-]{80,120}"),
    rule("aws-access-key", (b"AKIA", b"ASIA", b"ABIA", b"ACCA"), rb"[A-Z2-7]{16}", end=rb"(?![A-Za-z0-9+/_-])"),
    rule(
        "azure-ad-secret",
        tuple(b"%dQ~" % n for n in range(10)),
        rb"[A-Za-z0-9_~.-]{31,34}",
        before=rb"[A-Za-z0-9_~.-]{3}",
    ),
    rule("azure-devops-token", b"AZDO", rb"[A-Za-z0-9]{4}", before=rb"[A-Za-z0-9]{76}", real=always),
    rule(
        "azure-function-key", b"AzFu", rb"[A-Za-z0-9_-]{5}[AQgw]==", before=rb"[A-Za-z0-9_-]{44}", real=always, end=b""
    ),
    rule("azure-search-key", b"AzSe", rb"[A-D][A-Za-z0-9]{5}", before=rb"[A-Za-z0-9]{42}", real=always),
    rule("azure-storage-key", (b"AccountKey=", b"ACCOUNT_KEY="), rb"[A-Za-z0-9+/]{86}==", end=b"", bounded=False),
    rule("azure-storage-key", b"+ASt", rb"[A-Za-z0-9+/]{6}==", before=rb"[A-Za-z0-9+/]{76}", real=always, end=b""),
    rule("azure-cosmos-key", b"ACDb", rb"[A-Za-z0-9+/]{6}==", before=rb"[A-Za-z0-9+/]{76}", real=always, end=b""),
    rule("azure-registry-key", b"+ACR", rb"[A-D][A-Za-z0-9]{5}", before=rb"[A-Za-z0-9+/]{42}", real=always),
    rule("azure-bus-key", b"SharedAccessKey=", rb"[A-Za-z0-9+/]{43}=", end=b"", bounded=False),
    rule("azure-sas", (b"&sig=", b"?sig="), rb"[A-Za-z0-9+/%]{43,60}(?:=|%3[Dd])", end=b"", bounded=False),
    rule("cloudflare-origin-key", b"v1.0-", rb"[a-f0-9]{24}-[a-f0-9]{146}"),
    rule(
        "discord-webhook",
        (b"discord.com/api/webhooks/", b"discordapp.com/api/webhooks/"),
        rb"[0-9]{17,20}/[A-Za-z0-9_-]{60,80}",
    ),
    rule(
        "doppler-token",
        tuple(b"dp.%b." % kind for kind in (b"pt", b"ct", b"sa", b"scim", b"audit")),
        rb"[A-Za-z0-9]{40,44}",
    ),
    rule("doppler-token", b"dp.st.", rb"(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    rule("dynatrace-token", (b"dt0c01.", b"dt0s16.", b"dt0s01."), rb"[A-Za-z0-9]{8,24}\.[A-Za-z0-9]{64}"),
    rule("flutterwave-key", (b"FLWSECK-", b"FLWSECK_TEST-"), rb"[a-z0-9]{12}(?:[a-z0-9]{20}-X)?"),
    rule("flyio-token", (b"fm1r_", b"fm1a_"), rb"[A-Za-z0-9+/]{100,2000}={0,3}"),
    rule("grafana-token", b"glsa_", rb"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    rule("harness-token", (b"pat.", b"sat."), rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    rule("langsmith-key", (b"lsv2_pt_", b"lsv2_sk_"), rb"[a-f0-9]{32}_[a-f0-9]{10}"),
    rule("lob-key", b"live_", rb"[a-f0-9]{35}"),
    rule("mailchimp-key", b"-us", rb"[0-9]{1,2}", before=rb"[a-f0-9]{32}", real=always),
    rule("mapbox-token", b"sk.eyJ", rb"[A-Za-z0-9_-]{40,200}\.[A-Za-z0-9_-]{20,24}"),
    rule("maxmind-key", b"_mmk", b"", before=rb"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}", real=always),
    rule("openai-key", b"T3BlbkFJ", rb"[A-Za-z0-9_-]{20,100}", before=rb"sk-[A-Za-z0-9_-]{20,100}"),
    rule("postman-key", b"PMAK-", rb"[a-f0-9]{24}-[a-f0-9]{34}"),
    rule("resend-key", b"re_", rb"[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"),
    rule("sendgrid-key", b"SG.", rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    rule(
        "slack-token",
        (b"xoxb-", b"xoxa-", b"xoxp-", b"xoxr-", b"xoxs-", b"xoxo-"),
        rb"(?:[0-9]{1,14}-){1,4}[A-Za-z0-9-]{12,64}",
    ),
    rule("slack-token", (b"xoxe.xoxb-", b"xoxe.xoxp-", b"xoxe-"), rb"[0-9]-[A-Za-z0-9]{100,200}"),
    rule("slack-app-token", b"xapp-", rb"[0-9]-[A-Z0-9]{6,16}-[0-9]{6,16}-[a-z0-9]{32,80}"),
    rule("slack-webhook", b"hooks.slack.com/", rb"(?:services|workflows|triggers)/T[A-Z0-9]{6,12}/[A-Za-z0-9/]{20,80}"),
    rule(
        "teams-webhook",
        b".webhook.office.com/webhookb2/",
        _UUID + b"@" + _UUID + rb"/IncomingWebhook/[a-z0-9]{32}/" + _UUID,
        bounded=False,
    ),
    rule("telegram-token", b":AA", rb"[A-Za-z0-9_-]{33}", before=rb"(?<![0-9])[0-9]{8,10}"),
    rule("terraform-token", b".atlasv1.", rb"[A-Za-z0-9_=-]{60,70}", before=rb"[A-Za-z0-9]{14}"),
    rule("twilio-key", tuple(b"SK%c" % c for c in b"0123456789abcdef"), rb"[0-9a-f]{31}"),
    rule("wakatime-key", b"waka_", _UUID),
    rule("yandex-token", b"t1.", rb"[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]{86}={0,2}", end=b""),
)


def _web_token(_rest: bytes, whole: bytes) -> bool:
    """A JSON Web Token with a header that says how it was signed; not the one of the specification's page."""
    from base64 import urlsafe_b64decode

    parts = whole.replace(b"\\", b"").split(b".")
    try:
        head, claims = (urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in parts[:2])
    except ValueError:
        return False
    told = b'"alg"' in head and claims.startswith(b"{") and claims.endswith(b"}")
    samples = (b"1234567890", b"John Doe", b"example", b'"none"', b'"some"', b'"foo"', b"test")
    return told and not any(one in head + claims for one in samples) and guesses.entropy(parts[2]) > 3


TOKENS: tuple[Rule, ...] = (
    *(_form(*row) for row in _PLAIN),
    *_SHAPED,
    rule(
        "web-token",
        b"eyJ",
        rb"[A-Za-z0-9_-]{10,600}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{40,1200}",
        real=_web_token,
    ),
)
"""In no order that matters."""
