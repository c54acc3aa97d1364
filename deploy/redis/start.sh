#!/bin/sh
# Writes the users from the secret into memory, then becomes the server. $1: cache.conf or queue.conf.
set -eu
umask 077
printf 'user default off\nuser label_assets on >%s ~* &* +@all -@admin -@dangerous +info +keys +client +flushdb +config|get\n' \
    "$REDIS_PASSWORD" > "${REDIS_RUN:-/run/redis}/users.acl"
exec redis-server "$(dirname "$0")/$1" --aclfile "${REDIS_RUN:-/run/redis}/users.acl"
