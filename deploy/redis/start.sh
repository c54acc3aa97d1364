#!/bin/sh
# Writes the users from the secret into memory, then becomes the server. $1: cache.conf or queue.conf, then its options.
set -eu
umask 077
configuration="$(dirname "$0")/$1"
shift
users="${REDIS_RUN:-/run/redis}/users.acl"
printf 'user default off\nuser label_assets on >%s ~* &* +@all -@admin -@dangerous +info\n' "$REDIS_PASSWORD" > "$users"
exec redis-server "$configuration" --aclfile "$users" "$@"
