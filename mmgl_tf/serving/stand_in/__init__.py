"""A stand-in for TF Serving on one machine: its protocol, its loader, none of its speed.

For development and tests only. It listens on loopback alone, has no access control and no batching
of requests, and serves one model. TF Serving is for production; what is exported here runs there unchanged.

- `__main__`: the command, with TF Serving's own option names.
- `process`: starts the command, for tests and checks.
- `loaded_version`: one SavedModel in a session.   `versions`: which versions of a directory are served.
- `gate`: how many requests run and wait.   `refusal`: a status with its cause.
- `rest`, `json_tensors`: HTTP.   `rpc`: gRPC.
"""
