"""What a run needs, imported before there is one (`warm_runs`). Importing this opens no file, connection or server."""

import gc
import os
from contextlib import suppress
from importlib import import_module

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would not be in the copies

for name in (
    "clickhouse_connect.driver.httpclient",
    "dagster_postgres",
    "matplotlib.pyplot",
    "redis",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "label_assets.definitions",
    "label_assets.instance",
):
    import_module(name)

with suppress(Exception):  # a run meets the same, and tells it where people look
    import_module("label_assets.compute.compilation").compile_kernels()  # or read from where they were kept
gc.freeze()  # copies share what they do not touch
