"""What a run needs, imported before there is one (`warm_runs`). Importing this opens nothing and starts no thread."""

import gc
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's would have one a core, and a copy has none of them

import clickhouse_connect.driver.httpclient
import dagster_postgres
import matplotlib.pyplot
import redis
import sqlalchemy.dialects.postgresql.psycopg2

import label_assets.definitions
import label_assets.instance
from label_assets.compute.compilation import compile_kernels

LIBRARIES = (clickhouse_connect.driver.httpclient, dagster_postgres, matplotlib.pyplot, redis, sqlalchemy)
OURS = (label_assets.definitions, label_assets.instance)

compile_kernels()  # or read them from where they were kept
gc.freeze()  # copies share what they do not touch
