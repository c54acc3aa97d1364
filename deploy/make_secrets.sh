#!/bin/sh
# Writes deploy/.env for compose.yaml with new random passwords; refuses to overwrite one.
#   LANDING_FOLDER=/data/candles LABEL_ASSETS_API_KEYS=name:hash sh deploy/make_secrets.sh
set -eu
umask 077
file="$(dirname "$0")/.env"
if [ -e "$file" ]; then
    echo "asked: new secrets; found: $file exists, and the databases know its passwords; next: move it away" >&2
    exit 1
fi
: "${LANDING_FOLDER:?asked: secrets and settings; found: no LANDING_FOLDER; next: name the folder where candles land}"
: "${LABEL_ASSETS_API_KEYS:?asked: secrets and settings; found: no LABEL_ASSETS_API_KEYS; next: name:hash, see docs/security.md}"
secret() { od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'; }
{
    for name in POSTGRES_PASSWORD CLICKHOUSE_WRITER_PASSWORD CLICKHOUSE_READER_PASSWORD CLICKHOUSE_OPERATOR_PASSWORD \
        REDIS_PASSWORD GRAFANA_ADMIN_PASSWORD; do
        printf '%s=%s\n' "$name" "$(secret)"
    done
    printf 'LANDING_FOLDER=%s\nLABEL_ASSETS_API_KEYS=%s\n' "$LANDING_FOLDER" "$LABEL_ASSETS_API_KEYS"
} > "$file"
echo "wrote $file"
