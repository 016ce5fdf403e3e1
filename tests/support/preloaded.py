"""The large libraries of the services. A process that is forked after this import starts in 0.5 s instead of 4."""

import gc

import aiohttp
import asyncmy
import catboost
import faust
import kafka
import mlflow.catboost
import mlflow.pyfunc
import pandas as pd
import pymysql

LIBRARIES = (aiohttp, asyncmy, catboost, faust, kafka, mlflow.catboost, mlflow.pyfunc, pd, pymysql)
# No garbage collection looks at their objects again: Streamlit runs one after each refresh of a page.
gc.freeze()
