"""What the tests share."""

import os

# The tests talk to servers on this machine, without the proxy that a user may have set.
os.environ["no_proxy"] = "127.0.0.1,localhost"
