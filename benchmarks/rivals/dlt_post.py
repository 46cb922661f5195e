"""dlt's own requests helper, as its documentation recommends for calling an API: twenty rows, one POST each.

Usage (in a virtual environment with dlt): python dlt_post.py URL
"""

import sys

from dlt.sources.helpers import requests

for number in range(1, 21):
    requests.post(f"{sys.argv[1]}/posts", json={"id": number, "title": f"Meer bomen in wijk {number:04}"})
