"""Many machines: jobs handed on by `civicsync run` and done by any number of `civicsync worker`, over the same PostgreSQL.

Procrastinate keeps the queue, in a schema of its own; it is loaded by `queue`, `manager` and `working` alone.
"""
